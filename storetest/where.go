package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

var whereContracts = []contract{
	{"list/where", "A store may leave out operations that Where does not match, and returns all that it does", testListWhere},
	{"list/where-pages", "with Where as without it, After and Limit walk through all, newest first", testListWherePages},
	{"list/where-scan", "with Where too, Scan cuts a page and Next leads on", testListWhereScan},
	{"list/where-hidden", "Hidden operations are never listed, whatever Where asks for", testListWhereHidden},
	{"list/where-ignored", "Where is not used when Session or RequestID is set", testListWhereIgnored},
}

// wheres are filters that a store may be tempted to narrow by.
func wheres(ops []*longrun.Operation) []string {
	some := ops[len(ops)/2]
	at := some.CreateTime.Format(time.RFC3339Nano)
	filters := []string{
		"", "done=true", "done=false", "NOT done=true", "error:*", "response:*", "error.code=9", "NOT error.code=9", "error.code!=9", "error.code=1",
		`name="` + some.Name().String() + `"`, `name!="` + some.Name().String() + `"`, `name="*` + some.ID.String() + `"`, `name="` + some.ID.String() + `"`,
		`name:("` + some.Name().String() + `" OR "` + ops[0].Name().String() + `")`, `NOT name="*` + some.ID.String() + `"`,
		`name="projects/q/*"`, `name="*locations*"`, `name>"projects/p"`, `name="operations/*"`,
		"metadata.method=work", "metadata.method!=work", "metadata.method>other", "-metadata.method=work",
		"metadata.labels.env=prod", "metadata.labels:env", `metadata.labels.env:"*ro*"`, "NOT metadata.labels:env",
		"metadata.@type=type.googleapis.com/longrun.v1.OperationMetadata", "metadata.@type=type.googleapis.com/test.Metadata", `metadata.@type="*Metadata"`, `NOT metadata.@type="*test*"`,
		"response.@type=type.googleapis.com/test.Response", "response.@type=type.googleapis.com/none",
		"metadata.requested_cancellation=true", "metadata.attempt>0", "text",
	}
	for _, state := range []string{"PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"} {
		filters = append(filters, "metadata.state="+state, "NOT metadata.state="+state, "metadata.state="+state+" done=false")
	}
	for _, field := range []string{"create_time", "start_time", "update_time", "end_time", "expire_time"} {
		for _, op := range []string{"<", "<=", ">", ">=", "=", "!="} {
			filters = append(filters, "metadata."+field+op+`"`+at+`"`)
		}
	}
	return filters
}

// variety stores operations in every state, of several parents, methods, labels
// and metadata, a second apart, and returns them as they are, newest first.
func (x subject) variety() []*longrun.Operation {
	x.t.Helper()
	session := x.session()
	x.lag()
	var ids []longrun.ID
	for i := range 40 {
		op := newOp()
		op.Parent = []string{parent, "projects/q/locations/l", ""}[i%3]
		op.Method = []string{work, other}[i%2]
		if i%4 == 0 {
			op.Labels = map[string]string{"env": []string{"prod", "test"}[i/4%2]}
		}
		if i%6 == 0 {
			op.Metadata = &anypb.Any{TypeUrl: "type.googleapis.com/test.Metadata", Value: []byte("metadata")}
		}
		if i%5 > 0 {
			op.Claim.Session = session
		}
		op = x.create(op)
		ids = append(ids, op.ID)
		switch i % 5 {
		case 2:
			x.succeed(op)
		case 3:
			x.endRun(op, longrun.RunEnd{Kind: longrun.RunReturned, Error: &statuspb.Status{Code: 9, Message: "text"}})
		case 4:
			x.endRun(x.cancel(op.ID), longrun.RunEnd{Kind: longrun.RunReturned, Error: &statuspb.Status{Code: 1}})
		}
		if i%10 == 5 {
			op := keyed("key", longrun.Queue) // all but the first wait
			ids = append(ids, x.create(op).ID)
		}
		if i%8 == 7 {
			x.lag()
		}
	}
	var ops []*longrun.Operation
	for _, id := range slices.Backward(ids) {
		ops = append(ops, x.get(id))
	}
	return ops
}

// lag lets some time pass between operations.
func (x subject) lag() { x.advance(time.Second) }

// judge is a service on the store, for what callers see of operations.
func (x subject) judge() *longrun.Service {
	x.t.Helper()
	svc, err := longrun.New(x.Store, longrun.Options{})
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { svc.Close() })
	return svc
}

// where compiles a filter into a query.
func (x subject) where(svc *longrun.Service, q longrun.Query, text string) longrun.Query {
	x.t.Helper()
	f, err := svc.Filter(text)
	if err != nil {
		x.t.Fatalf("Filter(%q): %v", text, err)
	}
	q.Where = f
	return q
}

// matching keeps what q's filter matches.
func (x subject) matching(svc *longrun.Service, q longrun.Query, ops []*longrun.Operation) []*longrun.Operation {
	x.t.Helper()
	return slices.DeleteFunc(slices.Clone(ops), func(op *longrun.Operation) bool {
		ok, err := q.Where.Match(svc.Proto(op))
		if err != nil {
			x.t.Fatalf("Match: %v", err)
		}
		return !ok || !longrun.MatchParent(q.Parent, op.Parent)
	})
}

func testListWhere(_ *testing.T, x subject) {
	ops, svc := x.variety(), x.judge()
	for _, text := range wheres(ops) {
		for _, p := range []string{"-", parent, "projects/-/locations/l", "", "projects/none"} {
			q := x.where(svc, longrun.Query{Parent: p, Limit: 1000}, text)
			got, _ := x.walk(q)
			x.order("List("+p+") where "+text, x.matching(svc, q, got), x.matching(svc, q, ops)...)
		}
	}
}

func testListWherePages(_ *testing.T, x subject) {
	ops, svc := x.variety(), x.judge()
	for _, text := range wheres(ops) {
		for _, limit := range []int{1, 3, 10} {
			q := x.where(svc, longrun.Query{Parent: "-", Limit: limit}, text)
			got, _ := x.walk(q)
			x.order("List page by page where "+text, x.matching(svc, q, got), x.matching(svc, q, ops)...)
		}
	}
}

func testListWhereScan(_ *testing.T, x subject) {
	ops, svc := x.variety(), x.judge()
	for _, text := range wheres(ops) {
		for _, p := range []string{"-", "projects/q/locations/l"} {
			q := x.where(svc, longrun.Query{Parent: p, Limit: 2, Scan: 2}, text)
			got, _ := x.walk(q)
			x.order("List with Scan where "+text, x.matching(svc, q, got), x.matching(svc, q, ops)...)
		}
	}
}

func testListWhereHidden(t *testing.T, x subject) {
	svc := x.judge()
	pending, done, seen := x.start(), x.start(), x.start()
	x.cancel(done.ID)
	x.hide(done.ID)
	x.hide(pending.ID)
	for _, text := range []string{"done=false", "done=true", `name="` + pending.Name().String() + `"`, `name="` + done.Name().String() + `"`, "error.code=1"} {
		for _, p := range []string{parent, "-"} {
			for _, op := range x.list(x.where(svc, longrun.Query{Parent: p, Limit: 10}, text)).Operations {
				if op.ID != seen.ID {
					t.Errorf("List(%q) where %s gave %v, which is hidden", p, text, op.ID)
				}
			}
		}
	}
}

func testListWhereIgnored(_ *testing.T, x subject) {
	svc, session := x.judge(), x.session()
	running, requested := x.startIn(session), x.create(withRequest(requestA))
	x.order("List by session where nothing matches", x.list(x.where(svc, longrun.Query{Session: session}, "done=true")).Operations, running)
	byRequest := longrun.Query{Parent: parent, Method: work, RequestID: requestA, Limit: 1}
	x.order("List by request id where nothing matches", x.list(x.where(svc, byRequest, "done=true")).Operations, requested)
}
