package main

import (
	"fmt"
	"strings"
)

// parseLater reads the reasons for which rules have no test: lines of ids or
// ranges, separated by commas, then two blanks or more, then the reason. Empty
// lines and those that begin with "#" do not count.
//
//	INF-01..08, CON-07  comes with the generator
func parseLater(s *spec, text string) (map[string]string, error) {
	later := map[string]string{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		rules, reason, ok := strings.Cut(line, "  ")
		reason = strings.TrimSpace(reason)
		if !ok || reason == "" {
			return nil, fmt.Errorf("line %d: want ids, two blanks and a reason: %q", number, line)
		}
		for item := range strings.SplitSeq(rules, ",") {
			ids, err := s.parseIDs(strings.TrimSpace(item))
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
			for _, id := range ids {
				if later[id] != "" {
					return nil, fmt.Errorf("line %d: %s has a reason already", number, id)
				}
				later[id] = reason
			}
		}
	}
	return later, nil
}

// parseIDs reads one id or range and nothing else.
func (s *spec) parseIDs(text string) ([]string, error) {
	m := mention.FindStringSubmatch(text)
	if m == nil || m[0] != text {
		return nil, fmt.Errorf("%q is no id and no range", text)
	}
	known, unknown := s.ids(m)
	if len(known) == 0 || len(unknown) > 0 {
		return nil, fmt.Errorf("%q names a rule that the spec does not have", text)
	}
	return known, nil
}
