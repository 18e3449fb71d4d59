package genlongrun

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// A place is where in the .proto files something is said.
type place struct {
	file         string
	line, column int // from 1; 0 where the request does not say
}

func (p place) String() string {
	if p.line == 0 {
		return printable(p.file)
	}
	return fmt.Sprintf("%s:%d:%d", printable(p.file), p.line, p.column)
}

// placeOf returns where d is declared, or, where path leads on from there to
// something that the request has the place of, where that is said.
func placeOf(d protoreflect.Descriptor, path ...int32) place {
	locations := d.ParentFile().SourceLocations()
	at := locations.ByDescriptor(d)
	p := place{file: d.ParentFile().Path()}
	if at.Path == nil {
		return p
	}
	for n := len(path); n > 0; n-- {
		if l := locations.ByPath(slices.Concat(at.Path, path[:n])); l.Path != nil {
			at = l
			break
		}
	}
	p.line, p.column = at.StartLine+1, at.StartColumn+1
	return p
}

// A problem is one thing that is wrong with the input.
type problem struct {
	at   place
	what string // the full name of the method or service
	text string
	rule string // of docs/spec.md; empty where Go alone is in the way
}

func (p problem) line(kind string) string {
	text := fmt.Sprintf("%v: %s%s: %s", p.at, kind, p.what, p.text)
	if p.rule != "" {
		text += " (" + p.rule + ")"
	}
	return text
}

// problems are all that one run has found.
type problems struct {
	refused []problem
	warned  []problem
}

func (p *problems) refuse(at place, d protoreflect.Descriptor, rule, format string, args ...any) {
	p.refused = append(p.refused, problem{at, string(d.FullName()), fmt.Sprintf(format, args...), rule})
}

func (p *problems) warn(at place, d protoreflect.Descriptor, rule, format string, args ...any) {
	p.warned = append(p.warned, problem{at, string(d.FullName()), fmt.Sprintf(format, args...), rule})
}

// err is every refusal, a line each, in the order of the files; nil where there is
// none.
func (p *problems) err() error {
	if len(p.refused) == 0 {
		return nil
	}
	return errors.New(strings.Join(lines(p.refused, ""), "\n"))
}

func (p *problems) warnings() []string { return lines(p.warned, "warning: ") }

func lines(list []problem, kind string) []string {
	slices.SortStableFunc(list, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.at.file, b.at.file), cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.column, b.at.column))
	})
	var out []string
	for _, p := range list {
		out = append(out, p.line(kind))
	}
	return out
}

// printable returns s with what would break a line, or a line of Go, replaced.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r == '\ufeff' || r == '\ufffd' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
