package httpapi_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/longrun-dev/longrun/httpapi"
)

// replies returns a library that answers with a Book of the text.
func replies(text string) *library {
	return &library{do: func(_ context.Context, book *dynamicpb.Message) (any, error) {
		reply := dynamicpb.NewMessage(book.Descriptor())
		err := prototext.UnmarshalOptions{}.Unmarshal([]byte(text), reply)
		return reply, err
	}}
}

// replyAny returns a library that answers with a Book that has the notes.
func replyAny(notes ...*anypb.Any) *library {
	return &library{do: func(_ context.Context, book *dynamicpb.Message) (any, error) {
		fd := book.Descriptor().Fields().ByName("notes")
		for _, note := range notes {
			raw, err := proto.Marshal(note)
			if err != nil {
				return nil, err
			}
			element := book.Mutable(fd).List().AppendMutable().Message().Interface()
			if err := proto.Unmarshal(raw, element); err != nil {
				return nil, err
			}
		}
		return book, nil
	}}
}

// JSN-02, JSN-06: lowerCamel, and nothing that is a default. JSN-07: 64 bits as text.
// JSN-08: enums by name, and by number if that is asked for. JSN-14: valid UTF-8.
func TestReply_JSON(t *testing.T) {
	t.Parallel()
	h := replies(`name: "<ü>" page_count: 5 kind: NOVEL lent: false tags: [] weight: inf copies: 7 digest: "\377" create_time { seconds: 1 nanos: 500000000 }`).
		serve(t, httpapi.Options{})
	const rest = `"name":"<ü>","pageCount":"5","weight":"Infinity","copies":7,"digest":"/w==","createTime":"1970-01-01T00:00:01.500Z"`
	for query, want := range map[string]string{
		"":                                   `{` + rest + `,"kind":"NOVEL"}`,
		"?alt=json":                          `{` + rest + `,"kind":"NOVEL"}`,
		"?alt=":                              `{` + rest + `,"kind":"NOVEL"}`,
		"?$alt=json;enum-encoding=int":       `{` + rest + `,"kind":1}`,
		"?%24alt=json%3Benum-encoding%3Dint": `{` + rest + `,"kind":1}`,
		"?fields=name,kind":                  `{"name":"<ü>","kind":"NOVEL"}`,
		"?$fields=page_count":                `{"pageCount":"5"}`,
		"?fields=*":                          `{` + rest + `,"kind":"NOVEL"}`,
		"?fields=":                           `{` + rest + `,"kind":"NOVEL"}`,
	} {
		expectJSON(t, query, ask(h, "GET /v1/books/x"+query, ""), want)
	}
}

// SYS-01: system parameters are taken with and without $, and those without a meaning
// mean nothing. SYS-13, SYS-05: so do $.xgafv and callback. QRY-03: they are no unknown
// parameters.
func TestSystem_Accepted(t *testing.T) {
	t.Parallel()
	h := (&library{}).serve(t, httpapi.Options{})
	for _, name := range []string{"alt", "fields", "prettyPrint", "callback", "quotaUser", "userProject", "access_token", "oauth_token", ".xgafv", "ct", "upload_protocol", "uploadType", "key"} {
		value := "x"
		if name == "alt" || name == "fields" || name == "prettyPrint" {
			value = "" // those mean something
		}
		for _, q := range []string{"$" + name + "=", "%24" + name + "=", name + "="} {
			if q += value; q == "key=x" {
				q = "" // the Book has one
			}
			w := ask(h, "GET /v1/books/x?"+q, "")
			expectJSON(t, q, w, `{"name":"books/x"}`)
		}
	}
	expectJSON(t, "callback", ask(h, "GET /v1/books/x?callback=alert&$.xgafv=1&quotaUser=a&quotaUser=b", ""), `{"name":"books/x"}`)
}

// SYS-02: alt is json. SYS-03: once. SYS-09, SYS-10: a mask that leads nowhere, or to an
// index, is an error before anything is done.
func TestSystem_Wrong(t *testing.T) {
	t.Parallel()
	called := false
	h := (&library{do: func(_ context.Context, b *dynamicpb.Message) (any, error) { called = true; return b, nil }}).serve(t, httpapi.Options{})
	for query, want := range map[string]want{
		"$alt=xml":                            {400, invalid, httpapi.ReasonInvalidParameter, "$alt"},
		"alt=media":                           {400, invalid, httpapi.ReasonInvalidParameter, "alt"},
		"alt=json;enum-encoding=x":            {400, invalid, httpapi.ReasonInvalidParameter, "alt"},
		"$alt=json&alt=json":                  {400, invalid, httpapi.ReasonInvalidParameter, "alt"},
		"$alt=json&$alt=json":                 {400, invalid, httpapi.ReasonInvalidParameter, "$alt"},
		"prettyPrint=yes":                     {400, invalid, httpapi.ReasonInvalidParameter, "prettyPrint"},
		"fields=bogus":                        {400, invalid, httpapi.ReasonInvalidFieldMask, "fields"},
		"fields=notes.0":                      {400, invalid, httpapi.ReasonInvalidFieldMask, "fields"},
		"fields=a(":                           {400, invalid, httpapi.ReasonInvalidFieldMask, "fields"},
		"fields=name&fields=kind":             {400, invalid, httpapi.ReasonInvalidParameter, "fields"},
		"$xalt=json":                          {400, invalid, httpapi.ReasonUnknownParameter, "$xalt"},
		"$Alt=json":                           {400, invalid, httpapi.ReasonUnknownParameter, "$Alt"},
		"$name=x":                             {400, invalid, httpapi.ReasonUnknownParameter, "$name"},
		"fields=" + strings.Repeat("a", 9000): {400, invalid, httpapi.ReasonInvalidFieldMask, "fields"},
	} {
		expect(t, query[:min(40, len(query))], ask(h, "GET /v1/books/x?"+query, ""), want)
	}
	if called {
		t.Error("the method was called, want it not to be")
	}
}

// SYS-06: the header is a mask too, and the parameter wins. SYS-11: errors are whole.
func TestSystem_MaskHeader(t *testing.T) {
	t.Parallel()
	h := replies(`name: "n" page_count: 5 copies: 7`).serve(t, httpapi.Options{})
	expectJSON(t, "header", ask(h, "GET /v1/books/x", "", "X-Goog-FieldMask: name,copies"), `{"name":"n","copies":7}`)
	expectJSON(t, "two", ask(h, "GET /v1/books/x", "", "X-Goog-FieldMask: name", "X-Goog-FieldMask: copies"), `{"name":"n","copies":7}`)
	expectJSON(t, "both", ask(h, "GET /v1/books/x?fields=pageCount", "", "X-Goog-FieldMask: name"), `{"pageCount":"5"}`)
	expect(t, "wrong", ask(h, "GET /v1/books/x", "", "X-Goog-FieldMask: bogus"), want{400, invalid, httpapi.ReasonInvalidFieldMask, "fields"})
	expect(t, "error", ask(h, "GET /v1/books/x?fields=name&bogus=1", ""), want{400, invalid, httpapi.ReasonUnknownParameter, "bogus"})
	// A mask is of the response, of which response_body is a field.
	expectJSON(t, "response_body", ask(replies(`shelf { name: "s" row_number: 1 }`).serve(t, httpapi.Options{}), "PUT /v1/books/x/shelf?fields=shelf.name", ""), `{"name":"s"}`)
}

// ERR-06: what the message shows of a mask is in the metadata.
func TestSystem_MaskError(t *testing.T) {
	t.Parallel()
	h := replies(`name: "n"`).serve(t, httpapi.Options{})
	w := ask(h, "GET /v1/books/x?fields=name,bogus", "")
	for _, part := range []string{`"offset":"5"`, `"segment":"bogus"`, `mask: byte 5: no field \"bogus\"`} {
		if !strings.Contains(w.Body.String(), part) {
			t.Errorf("error = %s, want %s in it", w.Body, part)
		}
	}
}

// SYS-04: prettyPrint changes blanks only, of errors too.
func TestSystem_PrettyPrint(t *testing.T) {
	t.Parallel()
	h := replies(`name: "n" shelf { name: "s" }`).serve(t, httpapi.Options{})
	const reply = `{"name":"n","shelf":{"name":"s"}}`
	for query, pretty := range map[string]bool{"prettyPrint=true": true, "$prettyPrint=1": true, "prettyPrint=false": false, "$prettyPrint=0": false, "": false} {
		w := ask(h, "GET /v1/books/x?"+query, "")
		expectJSON(t, query, w, reply)
		if got := strings.Contains(w.Body.String(), "\n  "); got != pretty {
			t.Errorf("%s is indented: %v, want %v", query, got, pretty)
		}
	}
	w := ask(h, "GET /v1/books/x?prettyPrint=1&bogus=1", "")
	expect(t, "pretty error", w, want{400, invalid, httpapi.ReasonUnknownParameter, "bogus"})
	if !strings.Contains(w.Body.String(), "\n  ") {
		t.Errorf("error = %s, want it indented", w.Body)
	}
}

// JSN-11, JSN-12: an Any of an unknown type, or with bytes that are not of its type or
// that JSON cannot say, fails nothing: it is its type and its bytes. What is well is as
// ever.
func TestReply_AnyThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	well, err := anypb.New(&timestamppb.Timestamp{Seconds: 1})
	if err != nil {
		t.Fatal(err)
	}
	late, err := anypb.New(&timestamppb.Timestamp{Seconds: 1 << 60})
	if err != nil {
		t.Fatal(err)
	}
	unknown := &anypb.Any{TypeUrl: "type.googleapis.com/no.Such", Value: []byte{1, 2}}
	corrupt := &anypb.Any{TypeUrl: "type.googleapis.com/google.protobuf.Timestamp", Value: []byte{8}}
	noSlash := &anypb.Any{TypeUrl: "google.protobuf.Timestamp", Value: []byte{8, 1}}
	inside, err := anypb.New(unknown)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		notes []*anypb.Any
		want  string
	}{
		"well":     {[]*anypb.Any{well}, `{"@type":"type.googleapis.com/google.protobuf.Timestamp","value":"1970-01-01T00:00:01Z"}`},
		"unknown":  {[]*anypb.Any{unknown}, `{"@type":"type.googleapis.com/no.Such","value":"AQI="}`},
		"corrupt":  {[]*anypb.Any{corrupt}, `{"@type":"type.googleapis.com/google.protobuf.Timestamp","value":"CA=="}`},
		"no slash": {[]*anypb.Any{noSlash}, `{"@type":"google.protobuf.Timestamp","value":"CAE="}`},
		"late":     {[]*anypb.Any{late}, `{"@type":"type.googleapis.com/google.protobuf.Timestamp","value":"CICAgICAgICAEA=="}`},
		"inside":   {[]*anypb.Any{inside}, `{"@type":"type.googleapis.com/google.protobuf.Any","value":{"@type":"type.googleapis.com/no.Such","value":"AQI="}}`},
		"empty":    {[]*anypb.Any{{}}, `{}`},
		"mixed": {[]*anypb.Any{well, corrupt, unknown, well}, `{"@type":"type.googleapis.com/google.protobuf.Timestamp","value":"1970-01-01T00:00:01Z"},` +
			`{"@type":"type.googleapis.com/google.protobuf.Timestamp","value":"CA=="},{"@type":"type.googleapis.com/no.Such","value":"AQI="},` +
			`{"@type":"type.googleapis.com/google.protobuf.Timestamp","value":"1970-01-01T00:00:01Z"}`},
	} {
		expectJSON(t, name, ask(replyAny(tt.notes...).serve(t, httpapi.Options{}), "GET /v1/books/x", ""), `{"name":"books/x","notes":[`+tt.want+`]}`)
	}
}

// An Any in an Any in an Any, as many as fit into a payload, costs neither minutes nor
// the process: what is nested too deep is bytes.
func TestReply_NestedAnyIsCheap(t *testing.T) {
	t.Parallel()
	const url = "/google.protobuf.Any"
	nested := func(limit, depth int) *anypb.Any {
		head := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), url)
		sizes := []int{0}
		for len(sizes) < depth && sizes[len(sizes)-1] < limit {
			sizes = append(sizes, len(head)+1+protowire.SizeBytes(sizes[len(sizes)-1]))
		}
		var value []byte
		for i := len(sizes) - 2; i >= 0; i-- {
			value = protowire.AppendVarint(protowire.AppendTag(append(value, head...), 2, protowire.BytesType), uint64(sizes[i]))
		}
		return &anypb.Any{TypeUrl: url, Value: value}
	}
	begin := time.Now()
	w := ask(replyAny(nested(3<<20, 1<<20)).serve(t, httpapi.Options{}), "GET /v1/books/x", "")
	if took := time.Since(begin); w.Code != 200 || took > 2*time.Minute {
		t.Errorf("a deep Any = %d in %v, want 200 soon", w.Code, took)
	}
	w = ask(replyAny(nested(3<<20, 11)).serve(t, httpapi.Options{}), "GET /v1/books/x", "")
	if got := strings.Count(w.Body.String(), "@type"); w.Code != 200 || got != 11 {
		t.Errorf("ten in an Any = %d with %d types, want 200 with 11", w.Code, got)
	}
}

// JSN-09: what is sent is read back as the same message by the stock parser.
func TestReply_RoundTrip(t *testing.T) {
	t.Parallel()
	const text = `name: "n" page_count: -1 tags: ["", "a"] weight: nan loan { seconds: 1 nanos: 5 } mask { paths: ["a_b.c"] } rare {}
		by_room { key: "r" value { [type.googleapis.com/library.v1.Shelf] { row_number: 1 } } } numbers: [0, -1] price: 0.1 serial: 18446744073709551615 club: ""`
	s := build(t, rules)
	want, got := dynamicpb.NewMessage(s.book), dynamicpb.NewMessage(s.book)
	types := dynamicpb.NewTypes(s.files)
	if err := (prototext.UnmarshalOptions{Resolver: types}).Unmarshal([]byte(text), want); err != nil {
		t.Fatal(err)
	}
	h := (&library{do: func(context.Context, *dynamicpb.Message) (any, error) { return want, nil }}).serve(t, httpapi.Options{})
	for _, query := range []string{"", "?$alt=json;enum-encoding=int", "?prettyPrint=1"} {
		w := ask(h, "GET /v1/books/x"+query, "")
		proto.Reset(got)
		if err := (protojson.UnmarshalOptions{Resolver: types}).Unmarshal(w.Body.Bytes(), got); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s = %v, %v; want %v", query, got, err, want)
		}
	}
}
