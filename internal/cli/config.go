package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxConfigBytes limits a configuration file. All flags there are need a tenth.
const maxConfigBytes = 64 << 10

// config is a configuration file: flags by their long names, for all commands that
// have them and, in sections called like commands, for one.
type config struct {
	path     string
	settings []setting
}

// setting is one flag in a configuration file.
type setting struct {
	command string // "" stands for every command that has the flag
	flag    string
	line    int
	values  []string
	list    bool
}

// at returns a problem of a line of the file.
func (c *config) at(line int, hint, format string, args ...any) error {
	return usageProblem(fmt.Sprintf("%s:%d: %s", c.path, line, fmt.Sprintf(format, args...)), hint)
}

const configHint = "a file has lines like --flag on the command line, without the dashes; see: longrun help environment"

// readConfig reads a file. What its keys and values mean is not looked at.
func readConfig(path string) (*config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usageProblem(fmt.Sprintf("--config: %v", err), "name a YAML file, or none")
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	switch {
	case err != nil:
		return nil, usageProblem(fmt.Sprintf("--config: %v", err), "name a YAML file, or none")
	case len(raw) > maxConfigBytes:
		return nil, usageProblem(fmt.Sprintf("--config: %s is larger than 64 KiB", path), configHint)
	}
	return parseConfig(path, raw)
}

func parseConfig(path string, raw []byte) (*config, error) {
	c := &config{path: path}
	file, err := parser.ParseBytes(raw, 0)
	if err != nil {
		return nil, c.syntax(err)
	}
	for i, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if i > 0 {
			return nil, c.at(lineOf(doc.Body), configHint, "a second document")
		}
		pairs, ok := mapping(doc.Body)
		if !ok {
			return nil, c.at(lineOf(doc.Body), configHint, "want keys and values")
		}
		if err := c.section("", pairs); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// syntax says where a file is no YAML, in one line.
func (c *config) syntax(err error) error {
	if e, ok := errors.AsType[yaml.Error](err); ok && e.GetToken() != nil {
		return c.at(e.GetToken().Position.Line, configHint, "%s", e.GetMessage())
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return usageProblem(fmt.Sprintf("%s: %s", c.path, first), configHint)
}

// mapping returns the pairs of a mapping.
func mapping(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// section takes the pairs of a section, "" for the top of the file.
func (c *config) section(command string, pairs []*ast.MappingValueNode) error {
	seen := map[string]bool{}
	for _, p := range pairs {
		key, ok := scalar(p.Key)
		line := lineOf(p.Key)
		if !ok || p.Key.IsMergeKey() {
			return c.at(line, configHint, "a key must be a word")
		}
		if seen[key] {
			return c.at(line, "say it once", "%q is there twice", key)
		}
		seen[key] = true
		if command == "" && isSection(key, p.Value) {
			inner, _ := mapping(p.Value)
			// The section is noted even when it is empty, so that its name is checked.
			c.settings = append(c.settings, setting{command: key, line: line})
			if err := c.section(key, inner); err != nil {
				return err
			}
			continue
		}
		if err := c.flag(setting{command: command, flag: key, line: line}, p.Value); err != nil {
			return err
		}
	}
	return nil
}

// isSection reports whether a key at the top is the name of a command. An empty
// section is a key without a value; so is a flag that lacks one, which is told apart
// by whether there is such a command.
func isSection(key string, value ast.Node) bool {
	if _, ok := mapping(value); ok {
		return true
	}
	return value.Type() == ast.NullType && isCommand(key)
}

// flag takes the value of a flag.
func (c *config) flag(s setting, value ast.Node) error {
	if list, ok := value.(*ast.SequenceNode); ok {
		s.list = true
		for _, v := range list.Values {
			text, ok := scalar(v)
			if !ok {
				return c.at(lineOf(v), configHint, "a value of %q is neither text nor a number", s.flag)
			}
			s.values = append(s.values, text)
		}
		c.settings = append(c.settings, s)
		return nil
	}
	text, ok := scalar(value)
	if !ok {
		return c.at(s.line, configHint, "%q has no value that a flag could have", s.flag)
	}
	s.values = []string{text}
	c.settings = append(c.settings, s)
	return nil
}

// scalar returns the text of a scalar as it is written. Tags, anchors and aliases are
// none.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}
