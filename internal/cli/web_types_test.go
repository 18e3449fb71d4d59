package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"reflect"
	"strings"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/protobuf/proto"
)

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

// again reads a reply and prints it.
func again(t *testing.T, w *web, raw string) (*longrunningpb.Operation, string) {
	t.Helper()
	op := new(longrunningpb.Operation)
	if err := w.unmarshal([]byte(raw), op); err != nil {
		t.Fatalf("unmarshal %s: %v", raw, err)
	}
	out, err := toJSONBy(op, w.learnt)
	if err != nil {
		t.Fatalf("toJSON of %s: %v", raw, err)
	}
	return op, string(out)
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal([]byte(a), &x); err != nil {
		t.Fatalf("%s: %v", a, err)
	}
	if err := json.Unmarshal([]byte(b), &y); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return reflect.DeepEqual(x, y)
}

// JSN-11: payloads are printed as they come, whoever knows their types.
func TestWebTypes_AsTheyCome(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{
		`{"@type": "type.googleapis.com/longrun.v1.OperationMetadata", "state": "RUNNING", "attempt": "2"}`,
		`{"@type": "type.googleapis.com/google.protobuf.Empty"}`,
		`{"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1.500s"}`,
		`{"@type": "type.googleapis.com/google.protobuf.BytesValue", "value": "AQID"}`,
		`{"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "AQID"}`,
		`{"@type": "type.googleapis.com/google.protobuf.Struct", "value": {"a": {"@type": "x/nobody.v1.Thing", "value": "AQID"}, "b": [null, 1.5]}}`,
		`{"@type": "type.googleapis.com/google.protobuf.Any", "value": {"@type": "x/nobody.v1.Thing", "value": "AQID"}}`,
		`{"@type": "type.googleapis.com/nobody.v1.Thing", "value": "AQID"}`,
		`{"@type": "type.googleapis.com/nobody.v1.Thing", "value": ""}`,
		`{"@type": "type.googleapis.com/nobody.v1.Thing", "value": "no base64"}`,
		`{"@type": "type.googleapis.com/nobody.v1.Thing", "value": 7}`,
		`{"@type": "type.googleapis.com/nobody.v1.Thing"}`,
		`{"@type": "type.googleapis.com/nobody.v1.Thing", "field2": 1, "a": {"b": [true, null, "x"]}, "big": "9007199254740993", "": "", "é \"": 1e300}`,
		`{"@type": "type.googleapis.com/nobody.v1.Thing", "inner": {"@type": "type.googleapis.com/nobody.v1.Other", "value": "AQID"}}`,
		`{"@type": "type.googleapis.com/nobody.v1.Thing", "[x.y]": 1}`,
		`{"@type": "nobody", "value": "AQID"}`,
	} {
		w := newWeb("http://x")
		raw := `{"name": "operations/x", "metadata": ` + payload + `, "error": {"code": 2, "details": [` + payload + `]}}`
		_, got := again(t, w, raw)
		want := raw
		if strings.Contains(payload, "[x.y]") { // what no message can have is a Struct
			want = strings.ReplaceAll(raw, payload, `{"@type": "`+structURL+`", "value": `+payload+`}`)
		}
		if !sameJSON(t, got, want) {
			t.Errorf("printed as %s\nwant %s", got, want)
		}
		w.Close()
	}
}

// What was learnt is sent back as it came.
func TestWebTypes_SentBack(t *testing.T) {
	t.Parallel()
	w := newWeb("http://x")
	raw := `{"name": "operations/x", "metadata": {"@type": "x/nobody.v1.Thing", "a": 1}, "response": {"@type": "x/nobody.v1.Bytes", "value": "AQID"}}`
	op, _ := again(t, w, raw)
	if got := op.GetResponse(); got.GetTypeUrl() != "x/nobody.v1.Bytes" || string(got.GetValue()) != "\x01\x02\x03" {
		t.Errorf("response = %v, want the bytes", got)
	}
	out, err := w.marshal(op)
	if err != nil || !sameJSON(t, string(out), raw) {
		t.Errorf("marshal = %s, %v; want %s", out, err, raw)
	}
}

// A type has more fields later; what was read before stays readable.
func TestWebTypes_Grow(t *testing.T) {
	t.Parallel()
	w := newWeb("http://x")
	first, before := again(t, w, `{"metadata": {"@type": "x/nobody.v1.Thing", "b": 1}}`)
	again(t, w, `{"metadata": {"@type": "x/nobody.v1.Thing", "a": 2, "c": [3]}}`)
	after, err := toJSONBy(first, w.learnt)
	if err != nil || string(after) != before {
		t.Errorf("printed as %s, %v; want %s", after, err, before)
	}
}

// JSN-12: bytes that are not of the type that they claim to be are kept, and marked as
// over gRPC.
func TestWebTypes_Corrupt(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{"longrun.v1.OperationMetadata", "google.protobuf.Timestamp", "google.protobuf.Struct"} {
		w := newWeb("http://x")
		op, got := again(t, w, `{"metadata": {"@type": "type.googleapis.com/`+typ+`", "value": "/////w=="}}`)
		if string(op.GetMetadata().GetValue()) != "\xff\xff\xff\xff" || !strings.Contains(got, typ+invalidMark) || !strings.Contains(got, `"/////w=="`) {
			t.Errorf("%s: %v, printed as %s", typ, op, got)
		}
	}
}

// Fields of a newer server do not matter.
func TestWebTypes_NewerServer(t *testing.T) {
	t.Parallel()
	w := newWeb("http://x")
	op, _ := again(t, w, `{"name": "operations/x", "fresh": {"a": 1}, "metadata": {"@type": "x/longrun.v1.OperationMetadata", "attempt": "3", "fresh": 1}}`)
	if v := look(op); v.attempt != 3 || v.name != "operations/x" {
		t.Errorf("look = %+v, want attempt 3", v)
	}
}

// What is learnt is limited: past that, payloads are Structs that say the same.
func TestWebTypes_Limits(t *testing.T) {
	t.Parallel()
	w := newWeb("http://x")
	for i := range maxShapes + 1 {
		_, got := again(t, w, fmt.Sprintf(`{"metadata": {"@type": "x/nobody.v1.T%d", "a": 1}}`, i))
		if past := strings.Contains(got, structURL); past != (i == maxShapes) {
			t.Errorf("type %d is a Struct: %v", i, past)
		}
	}
	for _, n := range []int{maxShapeFields, maxShapeFields + 1} {
		w := newWeb("http://x")
		fields := make([]string, n)
		for i := range fields {
			fields[i] = fmt.Sprintf(`"f%d": %d`, i, i)
		}
		_, got := again(t, w, `{"metadata": {"@type": "x/nobody.v1.Wide", `+strings.Join(fields, ", ")+`}}`)
		if past := strings.Contains(got, structURL); past != (n > maxShapeFields) {
			t.Errorf("%d fields make a Struct: %v", n, past)
		}
	}
}

// Without learning there is what is linked in.
func TestWebTypes_Nil(t *testing.T) {
	t.Parallel()
	var none *jsonTypes
	if _, err := none.FindMessageByURL("x/nobody.v1.Thing"); err == nil {
		t.Error("FindMessageByURL of a type that nobody knows: no error")
	}
	if m, err := none.FindMessageByURL("x/longrun.v1.OperationMetadata"); err != nil || m == nil {
		t.Errorf("FindMessageByURL = %v, %v; want what is linked in", m, err)
	}
}

// Whatever a server says, it is read and printed, or refused; never worse.
func FuzzWeb_Unmarshal(f *testing.F) {
	f.Add([]byte(`{"name": "x", "metadata": {"@type": "x/nobody.v1.Thing", "a": [1, {"b": null}]}}`))
	f.Add([]byte(`{"response": {"@type": "type.googleapis.com/google.protobuf.Any", "value": {"@type": "x/y#opaque", "value": "AQ=="}}}`))
	f.Add([]byte(`{"error": {"details": [{"@type": "type.googleapis.com/google.protobuf.Timestamp", "value": "AQ=="}]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		w := newWeb("http://x")
		op := new(longrunningpb.Operation)
		if w.unmarshal(raw, op) != nil {
			return
		}
		if _, err := toJSONBy(op, w.learnt); err != nil {
			t.Errorf("toJSON: %v", err)
		}
		if out, err := w.marshal(op); err == nil {
			back := new(longrunningpb.Operation)
			if err := w.unmarshal(out, back); err != nil {
				t.Errorf("%s, which marshal has made: %v", out, err)
			} else if !proto.Equal(&longrunningpb.Operation{Name: op.GetName()}, &longrunningpb.Operation{Name: back.GetName()}) {
				t.Errorf("name = %q, want %q", back.GetName(), op.GetName())
			}
		}
	})
}
