package server_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/server"
	"github.com/longrun-dev/longrun/longrunpb"
)

const filterParent = "projects/p1/locations/l1"

// baseFixture starts S, E, C, R and U of the spec, and returns the letter of each name.
func baseFixture(t *testing.T, s *server.Server) map[string]string {
	t.Helper()
	work, letters := s.Service().Work(), map[string]string{}
	session, err := work.OpenSession(t.Context(), longrun.SessionOptions{Worker: "test", TTL: longrun.MaxSessionTTL})
	if err != nil {
		t.Fatal(err)
	}
	pack := func(m proto.Message) *anypb.Any {
		a, err := anypb.New(m)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for letter, result := range map[string]*longrun.Result{
		"S": {Response: pack(&longrunpb.CommandResponse{})}, "E": {Err: status.Error(codes.FailedPrecondition, "the shelf is full")},
		"C": {Err: longrun.ErrCancelled}, "R": nil, "U": nil,
	} {
		op, err := s.Service().Start(t.Context(), longrun.StartRequest{
			Method: longrunpb.Simulator_Simulate_FullMethodName, Request: pack(&longrunpb.SimulateRequest{Parent: filterParent}), Session: session,
			StartOptions: longrun.StartOptions{Parent: filterParent},
		})
		if err != nil {
			t.Fatal(err)
		}
		letters[op.Name().String()] = letter
		if letter == "C" {
			err = s.Service().Cancel(t.Context(), op.Name())
		}
		if result != nil && err == nil {
			_, err = work.Finish(t.Context(), op.Name(), op.Claim, *result)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return letters
}

// filterDoor asks for lists over HTTP.
type filterDoor struct {
	c   *http.Client
	url string
}

// list returns the status, and the page or what is wrong.
func (d filterDoor) list(ctx context.Context, t *testing.T, query url.Values) (int, *longrunningpb.ListOperationsResponse, listError) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "GET", d.url+"/v1/"+filterParent+"/operations?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := d.c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	page, wrong := new(longrunningpb.ListOperationsResponse), struct{ Error listError }{}
	if resp.StatusCode == http.StatusOK {
		err = protojson.Unmarshal(body, page)
	} else {
		err = json.Unmarshal(body, &wrong)
	}
	if err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return resp.StatusCode, page, wrong.Error
}

type listError struct {
	Status  string
	Details []struct {
		Reason          string
		Metadata        map[string]string
		FieldViolations []struct{ Field string }
	}
}

// isInvalid reports whether it is INVALID_ARGUMENT, about that field and for that reason.
func (e listError) isInvalid(reason, field string) bool {
	var gotReason, gotField string
	for _, d := range e.Details {
		gotReason += d.Reason
		for _, v := range d.FieldViolations {
			gotField += v.Field
		}
	}
	return e.Status == "INVALID_ARGUMENT" && gotReason == reason && gotField == field
}

// The table of section 5 through HTTP, and in pages; grpcapi asks it through gRPC.
func TestFilter_HTTP(t *testing.T) {
	t.Parallel()
	s := serve(t, options(t))
	d := filterDoor{webClient(t, nil), "http://" + s.HTTPAddr()}
	letters := baseFixture(t, s)
	table, err := os.ReadFile("../../grpcapi/testdata/filter.txt")
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for line := range strings.Lines(string(table)) {
		words := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		if words[0] == "#" {
			continue
		}
		asked++
		rule, want, filter := words[0], words[1], words[2]
		if want == "error" {
			code, page, wrong := d.list(t.Context(), t, url.Values{"filter": {filter}})
			if code != http.StatusBadRequest || !wrong.isInvalid(longrun.ReasonInvalidFilter, "filter") {
				t.Errorf("%s: %s = %d, %v, %+v; want that it is invalid", rule, filter, code, page, wrong)
			}
			continue
		}
		for _, size := range []string{"", "2"} {
			if got := d.find(t, letters, url.Values{"filter": {filter}, "pageSize": {size}}); got != strings.TrimPrefix(want, "-") {
				t.Errorf("%s: %s = %q with pageSize %q, want %q", rule, filter, got, size, want)
			}
		}
	}
	if asked < 80 {
		t.Errorf("%d filters were asked, want 80 at least", asked)
	}
}

// find returns the letters of what a filter finds on all pages, in the order of SECRU.
func (d filterDoor) find(t *testing.T, letters map[string]string, query url.Values) (found string) {
	t.Helper()
	if query.Get("pageSize") == "" {
		query.Del("pageSize")
	}
	seen := map[string]bool{}
	for {
		code, page, wrong := d.list(t.Context(), t, query)
		if code != http.StatusOK {
			t.Errorf("%v = %d, %+v", query, code, wrong)
			return "?"
		}
		for _, op := range page.GetOperations() {
			seen[letters[op.GetName()]] = true
		}
		if page.GetNextPageToken() == "" {
			break
		}
		query.Set("pageToken", page.GetNextPageToken())
	}
	for _, letter := range []string{"S", "E", "C", "R", "U"} {
		if seen[letter] {
			found += letter
		}
	}
	return found
}

// FLT-13: one filter. FLT-44: where it is wrong, for programs. FLT-47: a filter that is
// too long is refused at once, by the filter's own limits or by those of a URL.
func TestFilter_HTTPRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, options(t))
	d := filterDoor{webClient(t, nil), "http://" + s.HTTPAddr()}
	code, _, wrong := d.list(t.Context(), t, url.Values{"filter": {"done=true", "done=true"}})
	if code != http.StatusBadRequest || !wrong.isInvalid("INVALID_PARAMETER", "filter") {
		t.Errorf("two filters = %d, %+v; want INVALID_ARGUMENT", code, wrong)
	}
	_, _, wrong = d.list(t.Context(), t, url.Values{"filter": {"done=true AND error.code = nine"}})
	if len(wrong.Details) == 0 || wrong.Details[0].Metadata["column"] != "28" || wrong.Details[0].Metadata["token"] != "nine" {
		t.Errorf("details = %+v, want column 28 and token nine", wrong.Details)
	}
	for _, tt := range []struct {
		filter string
		code   int
	}{
		{strings.Repeat("(", 33) + "a" + strings.Repeat(")", 33), 400}, {strings.Repeat("a ", 129), 400}, {strings.Repeat("x", 8193), 400},
		{strings.Repeat("(", 10_000), 400}, {strings.Repeat("(", 12_000), 414}, {strings.Repeat("done=true OR ", 2_500) + "done=true", 414},
	} {
		ctx, stop := context.WithTimeout(t.Context(), patience)
		if code, _, wrong := d.list(ctx, t, url.Values{"filter": {tt.filter}}); code != tt.code || wrong.Status != "INVALID_ARGUMENT" {
			t.Errorf("%.20s... = %d, %+v; want %d", tt.filter, code, wrong, tt.code)
		}
		stop()
	}
}
