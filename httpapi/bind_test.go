package httpapi_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/longrun-dev/longrun/httpapi"
)

const invalid = "INVALID_ARGUMENT"

// QRY-01: what is not in the path is a parameter, by its name in JSON or in the proto
// file, of a message below too. QRY-06, QRY-14, JSN-07 to JSN-09: values are as in
// ProtoJSON, and booleans are true or false.
func TestQuery_Values(t *testing.T) {
	t.Parallel()
	h := (&library{}).serve(t, httpapi.Options{})
	for query, want := range map[string]string{
		"pageCount=2":                         `"pageCount":"2"`,
		"page_count=-9223372036854775808":     `"pageCount":"-9223372036854775808"`,
		"copies=4294967295":                   `"copies":4294967295`,
		"serial=18446744073709551615":         `"serial":"18446744073709551615"`,
		"kind=ATLAS":                          `"kind":"ATLAS"`,
		"kind=2":                              `"kind":"ATLAS"`,
		"kind=9":                              `"kind":9`,
		"tags=a&tags=b+c":                     `"tags":["a","b c"]`,
		"numbers=1&numbers=2":                 `"numbers":[1,2]`,
		"shelf.rowNumber=3&shelf.name=s":      `"shelf":{"name":"s","rowNumber":3}`,
		"shelf.row_number=3":                  `"shelf":{"rowNumber":3}`,
		"createTime=2026-01-02T03:04:05.006Z": `"createTime":"2026-01-02T03:04:05.006Z"`,
		"loan=1.500s":                         `"loan":"1.500s"`,
		"mask=a.b,cD":                         `"mask":"a.b,cD"`,
		"rare=false":                          `"rare":false`,
		"digest=_-8%3D":                       `"digest":"/+8="`,
		"digest=/%2B8":                        `"digest":"/+8="`,
		"weight=1e3":                          `"weight":1000`,
		"weight=NaN":                          `"weight":"NaN"`,
		"price=-Infinity":                     `"price":"-Infinity"`,
		"lent=true":                           `"lent":true`,
		"lent=false":                          ``,
		"person=":                             `"person":""`,
		"tags=a;b":                            `"tags":["a;b"]`, // QRY-08: data
		"key=k":                               `"key":"k"`,      // a field, not a system parameter
		"":                                    ``,               // QRY-07
		"&&":                                  ``,
		"name=books/x":                        ``, // QRY-05: the same as the path
	} {
		if want != "" {
			want = "," + want
		}
		expectJSON(t, query, ask(h, "GET /v1/books/x?"+query, ""), `{"name":"books/x"`+want+`}`)
	}
}

func TestQuery_Wrong(t *testing.T) {
	t.Parallel()
	h := (&library{}).serve(t, httpapi.Options{})
	const bad, unknown = httpapi.ReasonInvalidParameter, httpapi.ReasonUnknownParameter
	for query, want := range map[string]want{
		"bogus=1":                       {400, invalid, unknown, "bogus"}, // QRY-02
		"pagecount=1":                   {400, invalid, unknown, "pagecount"},
		"shelf.bogus=1":                 {400, invalid, unknown, "shelf.bogus"},
		"shelf=1":                       {400, invalid, unknown, "shelf"},
		"extra=1":                       {400, invalid, unknown, "extra"},
		"byRoom=1":                      {400, invalid, unknown, "byRoom"},
		"name.x=1":                      {400, invalid, unknown, "name.x"},
		"=1":                            {400, invalid, unknown, ""},
		"pageCount=1&pageCount=1":       {400, invalid, bad, "pageCount"}, // QRY-04
		"pageCount=1&page_count=1":      {400, invalid, bad, "pageCount"},
		"name=books/y":                  {400, invalid, bad, "name"},      // QRY-05
		"pageCount=":                    {400, invalid, bad, "pageCount"}, // PAG-18
		"pageCount=1.5":                 {400, invalid, bad, "pageCount"},
		"pageCount=abc":                 {400, invalid, bad, "pageCount"},
		"pageCount=0x10":                {400, invalid, bad, "pageCount"},
		"pageCount=9223372036854775808": {400, invalid, bad, "pageCount"},
		"copies=-1":                     {400, invalid, bad, "copies"},
		"serial=-1":                     {400, invalid, bad, "serial"},
		"lent=1":                        {400, invalid, bad, "lent"}, // QRY-06
		"lent=yes":                      {400, invalid, bad, "lent"},
		"lent=":                         {400, invalid, bad, "lent"},
		"rare=1":                        {400, invalid, bad, "rare"},
		"rare=null":                     {400, invalid, bad, "rare"},
		"kind=novel":                    {400, invalid, bad, "kind"},
		"weight=0x1p3":                  {400, invalid, bad, "weight"},
		"weight=1_0":                    {400, invalid, bad, "weight"},
		"weight=inf":                    {400, invalid, bad, "weight"},
		"weight=x":                      {400, invalid, bad, "weight"},
		"digest=!":                      {400, invalid, bad, "digest"},
		"loan=1":                        {400, invalid, bad, "loan"}, // WAI-21
		"loan=%221s%22":                 {400, invalid, bad, "loan"},
		"createTime=yesterday":          {400, invalid, bad, "createTime"},
		"mask=a_b":                      {400, invalid, bad, "mask"},
		"person=a&club=b":               {400, invalid, bad, "club"},
		"person=%zz":                    {400, invalid, bad, "person"}, // QRY-08
		"%zz=1":                         {400, invalid, bad, ""},
		"%ff=1":                         {400, invalid, bad, ""},
		"person=%ff":                    {400, invalid, bad, "person"},
		"tags=%ff":                      {400, invalid, bad, "tags"},
		"loan=%ff":                      {400, invalid, bad, "loan"},
		strings.Repeat("tags=a&", httpapi.MaxParameters+1): {400, invalid, bad, ""},
	} {
		expect(t, query[:min(len(query), 50)], ask(h, "GET /v1/books/x?"+query, ""), want)
	}
	if w := ask(h, "GET /v1/books/x?"+strings.Repeat("tags=a&", httpapi.MaxParameters), ""); w.Code != 200 {
		t.Errorf("%d parameters = %d, want 200", httpapi.MaxParameters, w.Code)
	}
}

// A path binds fields of messages below, numbers, enums and bytes; HTTP-09: a single
// segment is decoded completely.
func TestPath_Values(t *testing.T) {
	t.Parallel()
	h := (&library{}).serve(t, httpapi.Options{})
	for path, want := range map[string]string{
		"/v1/shelves/a%2Fb/rows/7":          `{"shelf":{"name":"a/b","rowNumber":7}}`,
		"/v1/shelves/s/rows/7?shelf.name=s": `{"shelf":{"name":"s","rowNumber":7}}`,
		"/v1/kinds/NOVEL/_-8":               `{"kind":"NOVEL","digest":"/+8="}`,
		"/v1/books/%C3%BC":                  `{"name":"books/ü"}`,
		"/v1/books/a+b":                     `{"name":"books/a+b"}`,
		"/v1/books/x%252Fy":                 `{"name":"books/x%2Fy"}`,
	} {
		expectJSON(t, path, ask(h, "GET "+path, ""), want)
	}
	for path, field := range map[string]string{"/v1/shelves/s/rows/x": "shelf.rowNumber", "/v1/kinds/x/_-8": "kind", "/v1/shelves/s/rows/7?shelf.rowNumber=8": "shelf.rowNumber"} {
		expect(t, path, ask(h, "GET "+path, ""), want{400, invalid, httpapi.ReasonInvalidParameter, field})
	}
}

// The rule's body: everything, a message, a list, or nothing. QRY-09: with "*" there are
// no parameters but those of the system. QRY-10: no body, blanks and {} are equal.
func TestBody_Rules(t *testing.T) {
	t.Parallel()
	h := (&library{}).serve(t, httpapi.Options{})
	for _, tt := range []struct{ line, body, want string }{
		{"PATCH /v1/books/x", `{"pageCount":2,"person":"p"}`, `{"name":"books/x","pageCount":"2","person":"p"}`},
		{"PATCH /v1/books/x", `{"pageCount":"2","name":"books/x"}`, `{"name":"books/x","pageCount":"2"}`},
		{"PATCH /v1/books/x?$alt=json&prettyPrint=false", "", `{"name":"books/x"}`},
		{"PATCH /v1/books/x", " \r\n", `{"name":"books/x"}`},
		{"PATCH /v1/books/x", "{}", `{"name":"books/x"}`},
		{"PATCH /v1/books/x", `{"name":"","pageCount":null,"tags":null}`, `{"name":"books/x"}`}, // QRY-14
		{"PUT /v1/books/x/shelf", `{"name":"s"}`, `{"name":"s"}`},
		{"PUT /v1/books/x/shelf?pageCount=1", "", `{}`},
		{"PUT /v1/books/x/tags", `["a","b"]`, `["a","b"]`},
		{"PUT /v1/books/x/tags", `[]`, `[]`},
		{"POST /v1/books/x:touch", `""`, `{"name":"books/x"}`}, // QRY-13: what Node sends
		{"POST /v1/books/x:touch?lent=true", `{}`, `{"name":"books/x","lent":true}`},
		{"REPORT /v1/books/x", "", `{"name":"books/x"}`},
	} {
		expectJSON(t, tt.line+" "+tt.body, ask(h, tt.line, tt.body), tt.want)
	}
	for _, tt := range []struct {
		line, body string
		want       want
	}{
		{"PATCH /v1/books/x?pageCount=1", "", want{400, invalid, httpapi.ReasonUnknownParameter, "pageCount"}},
		{"PATCH /v1/books/x?name=books/x", "", want{400, invalid, httpapi.ReasonUnknownParameter, "name"}},
		{"PUT /v1/books/x/shelf?shelf.name=s", "", want{400, invalid, httpapi.ReasonUnknownParameter, "shelf.name"}},
		{"PATCH /v1/books/x", `{"name":"books/y"}`, want{400, invalid, httpapi.ReasonInvalidParameter, "name"}}, // QRY-11
		{"POST /v1/books/x:touch", `{"lent":true}`, want{400, invalid, httpapi.ReasonInvalidBody, ""}},
		{"PUT /v1/books/x/tags", `[]},"name":{`, want{400, invalid, httpapi.ReasonInvalidBody, "tags"}},
		{"PUT /v1/books/x/shelf", `{"x":1}`, want{400, invalid, httpapi.ReasonUnknownField, "x"}},
	} {
		expect(t, tt.line+" "+tt.body, ask(h, tt.line, tt.body), tt.want)
	}
}

// QRY-12: an unknown field is an error. QRY-13: what is not one JSON object is too.
func TestBody_Wrong(t *testing.T) {
	t.Parallel()
	h := (&library{}).serve(t, httpapi.Options{})
	for _, body := range []string{
		`[]`, `""`, `7`, `null`, `{"pageCount":}`, `{"pageCount":1}x`, `{"pageCount":1}{}`, `{"pageCount":1,"pageCount":2}`,
		`{"pageCount":1,"page_count":2}`, "{\"person\":\"\xff\"}", `{"pageCount":1.5}`, `{"lent":"true"}`, `{"kind":"novel"}`,
		`{"person":"a","club":"b"}`, `{"loan":1}`, `{"loan":{"seconds":1}}`, `{"loan":"1"}`, `{'a':1}`, `{"extra":{"@type":7}}`,
		`{"extra":{"@type":"type.googleapis.com/google.protobuf.Duration"}}`, `{"extra":{"a":1,"a":2}}`, `{"extra":[]}`,
		`{"tags":["a"],"tags":["b"]}`, `{`, `{"extra":{"a":`,
	} {
		expect(t, body, ask(h, "PATCH /v1/books/x", body), want{400, invalid, httpapi.ReasonInvalidBody, ""})
	}
	expect(t, "unknown", ask(h, "PATCH /v1/books/x", `{"bogus":1}`), want{400, invalid, httpapi.ReasonUnknownField, "bogus"})
	expect(t, "unknown in Any", ask(h, "PATCH /v1/books/x", `{"extra":{"@type":"type.googleapis.com/library.v1.Shelf","row":1}}`),
		want{400, invalid, httpapi.ReasonUnknownField, "row"})
}

// JSN-03: an Any with a type is of that type. Without one it is a Struct, wherever it
// is; of an unknown type it is what a reply would say.
func TestBody_Any(t *testing.T) {
	t.Parallel()
	h := (&library{}).serve(t, httpapi.Options{})
	const object = `"@type":"type.googleapis.com/google.protobuf.Struct","value":`
	for body, want := range map[string]string{
		`"extra":{"@type":"type.googleapis.com/library.v1.Shelf","rowNumber":1}`:    `"extra":{"@type":"type.googleapis.com/library.v1.Shelf","rowNumber":1}`,
		`"extra":{"a":[1,{"b":null}]}`:                                              `"extra":{` + object + `{"a":[1,{"b":null}]}}`,
		`"extra": { "a" : "}" } , "person":"p"`:                                     `"extra":{` + object + `{"a":"}"}},"person":"p"`,
		`"notes":[{"a":1},{},{"b":{"c":2}}]`:                                        `"notes":[{` + object + `{"a":1}},{},{` + object + `{"b":{"c":2}}}]`,
		`"byRoom":{"extra":{"a":1},"x":{}}`:                                         `"byRoom":{"extra":{` + object + `{"a":1}},"x":{}}`,
		`"extra":{"notes":[{"x":1}],"@type":"type.googleapis.com/library.v1.Book"}`: `"extra":{"@type":"type.googleapis.com/library.v1.Book","notes":[{` + object + `{"x":1}}]}`,
		`"extra":{"@type":"example.com/no.Such","value":"AAEC"}`:                    `"extra":{"@type":"example.com/no.Such","value":"AAEC"}`,
		`"extra":{"@type":"example.com/no.Such"}`:                                   `"extra":{"@type":"example.com/no.Such","value":""}`,
		`"extra":{}`: `"extra":{}`,
	} {
		w := ask(h, "PATCH /v1/books/x", "{"+body+"}")
		if strings.HasSuffix(body, `no.Such"}`) {
			expect(t, body, w, struct {
				http                  int
				status, reason, field string
			}{400, invalid, httpapi.ReasonInvalidBody, ""})
			continue
		}
		expectJSON(t, body, w, `{"name":"books/x",`+want+`}`)
	}
}

// QRY-15: the type of a body is JSON with any parameters, and means nothing without one.
func TestBody_Type(t *testing.T) {
	t.Parallel()
	h := (&library{}).serve(t, httpapi.Options{})
	for _, typ := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON;charset=x", "application/json;odata=verbose"} {
		expectJSON(t, typ, ask(h, "PATCH /v1/books/x", `{"copies":1}`, "Content-Type: "+typ), `{"name":"books/x","copies":1}`)
	}
	expectJSON(t, "none", ask(h, "PATCH /v1/books/x", `{"copies":1}`), `{"name":"books/x","copies":1}`)
	expectJSON(t, "form", ask(h, "PATCH /v1/books/x", ``, "Content-Type: application/x-www-form-urlencoded"), `{"name":"books/x"}`)
	for _, typ := range []string{"text/plain", "application/x-www-form-urlencoded", "application/jsonp", "/", "application/json+x"} {
		expect(t, typ, ask(h, "PATCH /v1/books/x", `{}`, "Content-Type: "+typ), want{400, invalid, httpapi.ReasonInvalidHeader, ""})
	}
	expect(t, "gzip", ask(h, "PATCH /v1/books/x", `{}`, "Content-Encoding: gzip"), want{400, invalid, httpapi.ReasonInvalidHeader, ""})
}

// QRY-16: limits, and one past each.
func TestLimits(t *testing.T) {
	t.Parallel()
	h := (&library{}).serve(t, httpapi.Options{MaxBody: 1000})
	body := func(n int) string { return `{"person":"` + strings.Repeat("a", n-13) + `"}` }
	if w := ask(h, "PATCH /v1/books/x", body(1000)); w.Code != 200 {
		t.Errorf("a body of 1000 bytes = %d, want 200", w.Code)
	}
	expect(t, "body", ask(h, "PATCH /v1/books/x", body(1001)), want{413, "RESOURCE_EXHAUSTED", httpapi.ReasonTooLarge, ""})

	nested := func(n int) string {
		return `{"extra":` + strings.Repeat(`{"a":`, n-1) + "1" + strings.Repeat("}", n-1) + "}"
	}
	if w := ask(h, "PATCH /v1/books/x", nested(httpapi.MaxDepth)); w.Code != 200 {
		t.Errorf("a body %d deep = %d %s, want 200", httpapi.MaxDepth, w.Code, w.Body)
	}
	expect(t, "depth", ask(h, "PATCH /v1/books/x", nested(httpapi.MaxDepth+1)), want{400, invalid, httpapi.ReasonInvalidBody, ""})
	if w := ask(h, "PATCH /v1/books/x", `{"person":"`+strings.Repeat(`[{\"`, 200)+`"}`); w.Code != 200 {
		t.Errorf("brackets in text = %d %s, want 200", w.Code, w.Body)
	}

	url := func(n int) string { return "/v1/books/x?person=" + strings.Repeat("a", n-len("/v1/books/xperson=")) }
	if w := ask(h, "GET "+url(httpapi.MaxURL), ""); w.Code != 200 {
		t.Errorf("a URL of %d bytes = %d, want 200", httpapi.MaxURL, w.Code)
	}
	expect(t, "URL", ask(h, "GET "+url(httpapi.MaxURL+1), ""), want{414, invalid, httpapi.ReasonTooLarge, ""})
}

// Whatever a query says, the answer is 200 or 400, and never a value that was not
// asked for.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"pageCount=2", "shelf.rowNumber=3", "loan=1s", "$alt=json", "%zz", "a;b", "digest=_-", "fields=name", "person=a&club=b"} {
		f.Add(seed)
	}
	h := (&library{}).serve(f, httpapi.Options{})
	f.Fuzz(func(t *testing.T, query string) {
		w := ask(h, "GET /v1/books/x?"+strings.ReplaceAll(query, "?", ""), "")
		if w.Code != 200 && w.Code != 400 && w.Code != 414 {
			t.Errorf("?%s = %d %s", query, w.Code, w.Body)
		}
	})
}

// Whatever a body says, the answer is 200 or 400, and the path is what counts.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{`{"extra":{"a":1}}`, `{"notes":[{"a":{"b":[]}},{}]}`, `{"byRoom":{"a":{"@type":"x/y","value":"AA=="}}}`, `[`, `{"extra":{"@type":"type.googleapis.com/library.v1.Book","extra":{"x":1}}}`} {
		f.Add(seed)
	}
	h := (&library{}).serve(f, httpapi.Options{})
	f.Fuzz(func(t *testing.T, body string) {
		w := ask(h, "PATCH /v1/books/x", body)
		if w.Code != 200 && w.Code != 400 || w.Code == 200 && !strings.Contains(w.Body.String(), `"name":"books/x"`) {
			t.Errorf("%q = %d %s", body, w.Code, w.Body)
		}
	})
}

// A value comes back as it was sent, in the path and in the query.
func TestValues_RoundTrip(t *testing.T) {
	t.Parallel()
	h := (&library{}).serve(t, httpapi.Options{})
	random := rand.New(rand.NewPCG(1, 2))
	const letters = "aZ09-_.~ %+&=;:@!$'()*,?#[]<>\"\\`|^{}ü/\u00a0\U0001f4d6"
	all := []rune(letters)
	for range 500 {
		var b strings.Builder
		for range 1 + random.IntN(8) {
			b.WriteRune(all[random.IntN(len(all))])
		}
		text := b.String()
		if text == "." || text == ".." {
			continue
		}
		w := ask(h, fmt.Sprintf("GET /v1/shelves/%s/rows/1?person=%s", url.PathEscape(text), url.QueryEscape(text)), "")
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text)
		expectJSON(t, text, w, fmt.Sprintf(`{"person":"%s","shelf":{"name":"%s","rowNumber":1}}`, quoted, quoted))
	}
}
