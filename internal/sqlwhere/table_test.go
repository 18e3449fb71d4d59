package sqlwhere_test

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/filter"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/internal/sqlwhere"
	"github.com/longrun-dev/longrun/longrunpb"
)

// columns is a table that says everything in plain columns.
var columns = sqlwhere.Columns{
	State: "state", Parent: "parent", ID: "id", Name: "name", Method: "method", Create: "created", Expire: "expires",
	Response: "response", Labels: "labels", Metadata: "metadata",
}

const schema = `CREATE TABLE operation (
	n INTEGER PRIMARY KEY, state INTEGER NOT NULL, parent TEXT NOT NULL, id BLOB NOT NULL, name TEXT NOT NULL, method TEXT NOT NULL,
	created INTEGER NOT NULL, expires INTEGER, response BLOB, labels BLOB NOT NULL, metadata BLOB NOT NULL) STRICT`

// table is operations in a real database.
type table struct {
	conn *sqlite.Conn
	svc  *longrun.Service
	ops  []*longrun.Operation
}

func newTable(t testing.TB, ops []*longrun.Operation) *table {
	t.Helper()
	return newTableWith(t, ops, nil)
}

// ours are the messages without those of authors, so that the engine's columns
// say what metadata has.
func ours() filter.Types {
	types := new(protoregistry.Types)
	for _, m := range []proto.Message{&longrunpb.OperationMetadata{}, &errdetails.ErrorInfo{}, &structpb.Struct{}, &durationpb.Duration{}, &longrunpb.CommandResponse{}} {
		if err := types.RegisterMessage(m.ProtoReflect().Type()); err != nil {
			panic(err)
		}
	}
	return types
}

func newTableWith(t testing.TB, ops []*longrun.Operation, types filter.Types) *table {
	t.Helper()
	store := inmem.New()
	svc, err := longrun.New(store, longrun.Options{Types: types, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := sqlite.OpenConn(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { svc.Close(); store.Close(); conn.Close() })
	if err := sqlitex.ExecuteScript(conn, schema, nil); err != nil {
		t.Fatal(err)
	}
	x := &table{conn: conn, svc: svc, ops: ops}
	for n, op := range ops {
		x.insert(t, n, op)
	}
	return x
}

func (x *table) insert(t testing.TB, n int, op *longrun.Operation) {
	t.Helper()
	labels := []byte{0}
	for k, v := range op.Labels {
		labels = append(append(append(append(labels, k...), 0), v...), 0)
	}
	args := []any{int64(n), int64(op.State), op.Parent, op.ID[:], op.Name().String(), op.Method, op.CreateTime.UnixMicro(), nil, nil, labels, []byte{}}
	if !op.ExpireTime.IsZero() {
		args[7] = op.ExpireTime.UnixMicro()
	}
	for i, a := range map[int]*anypb.Any{8: op.Response, 10: op.Metadata} {
		if a == nil {
			continue
		}
		b, err := proto.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		args[i] = b
	}
	if err := sqlitex.Execute(x.conn, "INSERT INTO operation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", &sqlitex.ExecOptions{Args: args}); err != nil {
		t.Fatal(err)
	}
}

// found returns which operations a condition leaves.
func (x *table) found(t testing.TB, w sqlwhere.Where) []bool {
	t.Helper()
	found := make([]bool, len(x.ops))
	err := sqlitex.Execute(x.conn, "SELECT n, "+w.SQL+" FROM operation", &sqlitex.ExecOptions{Args: w.Args, ResultFunc: func(stmt *sqlite.Stmt) error {
		if stmt.ColumnIsNull(1) {
			return fmt.Errorf("the condition is NULL")
		}
		found[stmt.ColumnInt(0)] = stmt.ColumnBool(1)
		return nil
	}})
	if err != nil {
		t.Fatalf("%s: %v", w.SQL, err)
	}
	return found
}

func pack(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return a
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// metadatas are what a row may have: nothing, our own, others' that have some of
// the same fields, and what nobody can read.
var metadatas = []*anypb.Any{
	nil,
	pack(&longrunpb.OperationMetadata{Target: "shelf", Verb: "import"}),
	pack(&longrunpb.OperationMetadata{StatusMessage: "copying", Labels: map[string]string{"env": "lost"}}),
	pack(&longrunpb.AcquiredOperation{Method: "work"}),
	pack(authored(`create_time { seconds: 1798804800 } verb: "import" state: "RUNNING" labels { key: "env" value: "prod" } attempt: "5"`)),
	pack(authored(`verb: "import" labels { key: "k1" value: "v" }`)),
	pack(&errdetails.ErrorInfo{Reason: "QUOTA"}),
	pack(must(structpb.NewStruct(map[string]any{"verb": "import"}))),
	pack(durationpb.New(time.Second)),
	{TypeUrl: "example.com/longrun.v1.OperationMetadata"},
	{TypeUrl: "type.googleapis.com/longrun.v1.OperationMetadata", Value: []byte{0xff}},
	{TypeUrl: "type.googleapis.com/no.Such", Value: []byte("import")},
	{},
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// authored is metadata of an author's own type, some of whose fields are called
// as ours are: those that the author has left empty show what the engine knows.
func authored(text string) proto.Message {
	m := authoredType().New().Interface()
	if err := prototext.Unmarshal([]byte(text), m); err != nil {
		panic(err)
	}
	return m
}

var authoredType = sync.OnceValue(func() protoreflect.MessageType {
	const file = `name: "authored.proto" package: "authored" syntax: "proto3" dependency: "google/protobuf/timestamp.proto" message_type {
		name: "Metadata"
		field { name: "create_time" number: 1 type: TYPE_MESSAGE label: LABEL_OPTIONAL type_name: ".google.protobuf.Timestamp" }
		field { name: "end_time" number: 2 type: TYPE_MESSAGE label: LABEL_OPTIONAL type_name: ".google.protobuf.Timestamp" }
		field { name: "verb" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL }
		field { name: "state" number: 4 type: TYPE_STRING label: LABEL_OPTIONAL }
		field { name: "labels" number: 5 type: TYPE_MESSAGE label: LABEL_REPEATED type_name: ".authored.Metadata.LabelsEntry" }
		field { name: "attempt" number: 6 type: TYPE_STRING label: LABEL_OPTIONAL }
		nested_type { name: "LabelsEntry" options { map_entry: true }
			field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL } field { name: "value" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL } } }`
	p := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(file), p); err != nil {
		panic(err)
	}
	m := dynamicpb.NewMessageType(must(protodesc.NewFile(p, protoregistry.GlobalFiles)).Messages().Get(0))
	if err := protoregistry.GlobalTypes.RegisterMessage(m); err != nil {
		panic(err)
	}
	return m
})

// operation is a record with state i%5 and the rest by i.
func operation(i int) *longrun.Operation {
	op := &longrun.Operation{
		ID:       longrun.ID{0x01, 0x9b, 15: byte(i)},
		Parent:   []string{"", "projects/p", "projects/p/locations/l", "operations"}[i%4],
		Method:   []string{"work", "resize-image", "/pkg.Service/Method"}[i%3],
		State:    longrun.State(i%5 + 1),
		Metadata: metadatas[i%len(metadatas)],
	}
	if op.Parent == "operations" {
		op.Parent = "a/operations/b"
	}
	op.CreateTime = noon.Add(time.Duration(i/7) * 1500 * time.Microsecond)
	op.UpdateTime = op.CreateTime.Add(time.Duration(i%9) * time.Millisecond)
	if i%2 == 0 {
		op.Labels = map[string]string{"env": []string{"prod", "test", "x-prod-y"}[i%3], "k" + fmt.Sprint(i%4): "v"}
	}
	if op.State != longrun.Pending {
		op.StartTime = op.CreateTime.Add(time.Microsecond)
	}
	switch op.State {
	case longrun.Succeeded:
		op.Response = []*anypb.Any{pack(&longrunpb.CommandResponse{RunDuration: durationpb.New(time.Duration(i) * time.Second)}), pack(&structpb.Struct{})}[i/5%2]
	case longrun.Failed, longrun.Cancelled:
		op.Error = &statuspb.Status{Code: int32(i%16 + 1), Message: "shelf", Details: []*anypb.Any{pack(&errdetails.ErrorInfo{Reason: "QUOTA"})}}
	}
	if op.State.Done() {
		op.EndTime = op.UpdateTime
		op.ExpireTime = op.EndTime.Add(time.Duration(i) * time.Hour)
	}
	return op
}
