package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// report is what is known of each rule.
type report struct {
	spec  *spec
	later map[string]string // reasons, by id
	tests *found
}

// print writes the report and says whether nothing is amiss.
func (r *report) print(to io.Writer) (bool, error) {
	w := bufio.NewWriter(to)
	for _, s := range r.spec.sections {
		r.printSection(w, s)
	}
	ok := r.printTotals(w)
	return ok, w.Flush()
}

func (r *report) printSection(w io.Writer, s section) {
	tested := 0
	for _, rule := range s.rules {
		if len(r.tests.tests[rule.id]) > 0 {
			tested++
		}
	}
	fmt.Fprintf(w, "## %s: %d of %d rules have a test\n", s.title, tested, len(s.rules))
	for _, rule := range s.rules {
		fmt.Fprintf(w, "%-8s %-8s %s\n", rule.id, shortLevel(rule.level), r.verdict(rule.id))
	}
	fmt.Fprintln(w)
}

// shortLevel is the first word or two of a level: "MUST", "MUST NOT".
func shortLevel(level string) string {
	for _, l := range []string{"MUST NOT", "SHOULD NOT", "MUST", "SHOULD", "MAY"} {
		if strings.HasPrefix(level, l) {
			return l
		}
	}
	return "-"
}

func (r *report) verdict(id string) string {
	switch tests := r.tests.tests[id]; {
	case len(tests) > 0:
		return strings.Join(tests, ", ")
	case r.later[id] != "":
		return "later: " + r.later[id]
	}
	return "NO TEST"
}

func (r *report) printTotals(w io.Writer) bool {
	tested, missing, both, reasons := 0, []string{}, []string{}, map[string]int{}
	for _, s := range r.spec.sections {
		for _, rule := range s.rules {
			hasTest := len(r.tests.tests[rule.id]) > 0
			if hasTest && r.later[rule.id] != "" {
				both = append(both, rule.id)
			}
			switch {
			case hasTest:
				tested++
			case r.later[rule.id] != "":
				reasons[r.later[rule.id]]++
			default:
				missing = append(missing, rule.id)
			}
		}
	}
	fmt.Fprintf(w, "%d rules, %d have a test\n", len(r.spec.rules), tested)
	for _, reason := range slices.SortedFunc(maps.Keys(reasons), func(a, b string) int {
		return cmp.Or(cmp.Compare(reasons[b], reasons[a]), cmp.Compare(a, b))
	}) {
		fmt.Fprintf(w, "%d later: %s\n", reasons[reason], reason)
	}
	if len(both) > 0 {
		fmt.Fprintf(w, "%d have a test, and a reason to have none: %s\n", len(both), strings.Join(both, " "))
	}
	if len(missing) > 0 {
		fmt.Fprintf(w, "%d have neither a test nor a reason: %s\n", len(missing), strings.Join(missing, " "))
	}
	for _, u := range r.tests.unknown {
		fmt.Fprintf(w, "no such rule: %s\n", u)
	}
	return len(missing) == 0 && len(both) == 0 && len(r.tests.unknown) == 0
}
