package longrun_test

import (
	"strings"
	"testing"

	"github.com/longrun-dev/longrun"
)

// Whoever is refused is told the rule, and which of their words broke it.
func TestStart_ErrorsNameTheirRule(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	for name, tt := range map[string]struct {
		options longrun.StartOptions
		want    []string
	}{
		"label, key":   {longrun.StartOptions{Labels: map[string]string{"Team": "a"}}, []string{`the label's key "Team" must begin with a lower-case letter`, "at most 63"}},
		"label, value": {longrun.StartOptions{Labels: map[string]string{"team": "Blue"}}, []string{`the value "Blue" of the label "team"`, "lower-case letters, digits"}},
		"label, long":  {longrun.StartOptions{Labels: map[string]string{strings.Repeat("k", 5000): "a"}}, []string{strings.Repeat("k", 80) + "..."}},
		"label, bytes": {longrun.StartOptions{Labels: map[string]string{"k": "\xff"}}, []string{`the value "\xff" of the label "k"`}},
		"parent":       {longrun.StartOptions{Parent: "a//b"}, []string{"parent must be a resource name such as projects/p", "single slashes"}},
		"parent, long": {longrun.StartOptions{Parent: strings.Repeat("p", longrun.MaxParentBytes+1)}, []string{"parent is longer than ", " bytes"}},
	} {
		_, err := sys.svc.Start(t.Context(), longrun.StartRequest{Method: word, StartOptions: tt.options})
		if err == nil {
			t.Errorf("%s: Start worked", name)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q in it", name, err, want)
			}
		}
		if len(err.Error()) > 400 {
			t.Errorf("%s: the message has %d bytes", name, len(err.Error()))
		}
	}
	_, err := sys.svc.List(t.Context(), longrun.ListRequest{Parent: "a//b"})
	if err == nil || !strings.Contains(err.Error(), `the parent must be a resource name such as projects/p`) {
		t.Errorf("List of a//b = %v, want the rule", err)
	}
	_, err = longrun.ParseName("a//b/operations/x")
	if err == nil || !strings.Contains(err.Error(), "the parent of the name must be a resource name such as projects/p") {
		t.Errorf("ParseName = %v, want the rule", err)
	}
}
