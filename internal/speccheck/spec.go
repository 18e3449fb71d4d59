package main

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// spec is the rules of a specification in the order of its text.
type spec struct {
	sections []section
	rules    map[string]rule // by id
	prefixes map[string]bool // of the ids, such as "PAG"
}

type section struct {
	title string
	rules []rule
}

type rule struct {
	id    string
	level string // as the spec has it: "MUST", "SHOULD / MUST NOT"
}

var (
	headingLine = regexp.MustCompile(`^## (.+)$`)
	ruleLine    = regexp.MustCompile(`^\| ([A-Z]+-\d{2}) \|`)
)

// parseSpec reads the tables whose first column is the id of a rule and whose
// third is its level.
func parseSpec(text string) (*spec, error) {
	s := &spec{rules: map[string]rule{}, prefixes: map[string]bool{}}
	title := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := headingLine.FindStringSubmatch(line); m != nil {
			title = m[1]
		}
		m := ruleLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		cells := splitRow(line)
		if len(cells) < 3 {
			return nil, fmt.Errorf("rule %s has %d columns, want 3 or more", m[1], len(cells))
		}
		r := rule{id: m[1], level: cells[2]}
		if _, twice := s.rules[r.id]; twice {
			return nil, fmt.Errorf("rule %s is there twice", r.id)
		}
		s.add(title, r)
	}
	if len(s.rules) == 0 {
		return nil, errors.New("no rules")
	}
	return s, nil
}

func (s *spec) add(title string, r rule) {
	if n := len(s.sections); n == 0 || s.sections[n-1].title != title {
		s.sections = append(s.sections, section{title: title})
	}
	last := &s.sections[len(s.sections)-1]
	last.rules = append(last.rules, r)
	s.rules[r.id] = r
	prefix, _, _ := strings.Cut(r.id, "-")
	s.prefixes[prefix] = true
}

// splitRow returns the cells of a table row. In a cell, "\|" is a bar.
func splitRow(line string) []string {
	const bar = "\x00"
	line = strings.ReplaceAll(line, `\|`, bar)
	cells := strings.Split(strings.Trim(line, "|"), "|")
	for i, c := range cells {
		cells[i] = strings.TrimSpace(strings.ReplaceAll(c, bar, "|"))
	}
	return cells
}

// mention is an id, or a range "WAI-01 to WAI-05" or "WAI-01..05", which a comment
// may break over two lines.
var mention = regexp.MustCompile(`\b([A-Z]+)-(\d{2})\b(?:(?:\.\.|\s+(?://\s*)?to\s+(?://\s*)?)(?:([A-Z]+)-)?(\d{2})\b)?`)

// ids returns the ids of the rules that m, a match of mention, stands for; unknown
// holds those that look like one and are none. What has a prefix that no rule
// has is neither.
func (s *spec) ids(m []string) (known, unknown []string) {
	prefix, first, last := m[1], m[2], m[4]
	if !s.prefixes[prefix] {
		return nil, nil
	}
	ends := []string{prefix + "-" + first}
	isRange := last != "" && (m[3] == "" || m[3] == prefix)
	if last != "" {
		ends = append(ends, cmp.Or(m[3], prefix)+"-"+last)
	}
	for _, id := range ends {
		if _, ok := s.rules[id]; !ok {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) > 0 {
		return nil, unknown
	}
	if !isRange {
		return ends, nil
	}
	// The digits are two, so neither can fail.
	from, _ := strconv.Atoi(first)
	to, _ := strconv.Atoi(last)
	for n := from; n <= to; n++ {
		if id := fmt.Sprintf("%s-%02d", prefix, n); s.rules[id].id != "" {
			known = append(known, id)
		}
	}
	return known, nil
}
