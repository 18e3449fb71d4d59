package httpapi_test

import (
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// problem is an error's envelope.
type problem struct {
	Error struct {
		Code    int
		Message string
		Status  string
		Details []map[string]any
	}
}

// want is an error that is expected. Every one has an ErrorInfo.
type want struct {
	http   int
	status string
	reason string
	field  string // of the one field violation, if not empty
}

var reasonForm = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,61}[A-Z0-9]$`)

// expect checks that a reply is an error, and that its envelope is as section 10 of the
// spec says.
func expect(t *testing.T, what string, w *httptest.ResponseRecorder, want want) problem {
	t.Helper()
	var p problem
	d := json.NewDecoder(strings.NewReader(w.Body.String()))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		t.Errorf("%s = %d %.200q, want an envelope: %v", what, w.Code, w.Body, err)
		return p
	}
	if w.Code != want.http || p.Error.Code != w.Code || p.Error.Status != want.status {
		t.Errorf("%s = %d, code %d, status %q; want %d and %q: %s", what, w.Code, p.Error.Code, p.Error.Status, want.http, want.status, p.Error.Message)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json; charset=utf-8" {
		t.Errorf("%s: Content-Type = %q, want JSON", what, got)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("%s: Cache-Control = %q, want no-store", what, got)
	}
	info := p.detail("google.rpc.ErrorInfo")
	if domain, _ := info["domain"].(string); domain == "" || info["reason"] != want.reason || !reasonForm.MatchString(want.reason) {
		t.Errorf("%s: ErrorInfo = %v, want the reason %s and a domain", what, info, want.reason)
	}
	if field := p.field(); field != want.field {
		t.Errorf("%s: field = %q, want %q", what, field, want.field)
	}
	return p
}

// detail returns the detail of a type, nil unless there is exactly one.
func (p problem) detail(name string) (found map[string]any) {
	for _, d := range p.Error.Details {
		if d["@type"] == "type.googleapis.com/"+name {
			if found != nil {
				return nil
			}
			found = d
		}
	}
	return found
}

// field returns the field of the one field violation, "" without.
func (p problem) field() string {
	list, _ := p.detail("google.rpc.BadRequest")["fieldViolations"].([]any)
	if len(list) != 1 {
		return ""
	}
	field, _ := list[0].(map[string]any)["field"].(string)
	return field
}

// expectJSON checks that a reply is 200 and means the same as the JSON.
func expectJSON(t *testing.T, what string, w *httptest.ResponseRecorder, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 || !reflect.DeepEqual(a, b) {
		t.Errorf("%s = %d %s, want 200 %s", what, w.Code, w.Body, want)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json; charset=utf-8" || !utf8.Valid(w.Body.Bytes()) {
		t.Errorf("%s: Content-Type = %q and %q, want JSON in UTF-8", what, got, w.Body)
	}
}
