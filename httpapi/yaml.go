package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxYAMLDepth limits how deep a configuration is nested. Google's go to about 8.
const maxYAMLDepth = 32

// A document is YAML as JSON. Each value stands in the line in which the YAML has
// it, so that what a JSON parser says of a line is right for the YAML.
type document struct {
	json  []byte
	rules []int // the lines of http.rules[i]
}

func (d *document) line(rule int) int {
	if rule < len(d.rules) {
		return d.rules[rule]
	}
	return 0
}

var jsonPosition = regexp.MustCompile(`^proto:.\(line (\d+):\d+\): `)

// explain takes protojson's position apart: its columns are not those of the YAML.
func (d *document) explain(err error) error {
	m := jsonPosition.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\u00a0", " "))
	if m == nil {
		return errors.New(strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0"))
	}
	return fmt.Errorf("line %s: %s", m[1], strings.ReplaceAll(err.Error(), "\u00a0", " ")[len(m[0]):])
}

// yamlToJSON converts the one document of text.
func yamlToJSON(text []byte) (*document, error) {
	if len(text) > MaxServiceConfig {
		return nil, fmt.Errorf("more than %d bytes", MaxServiceConfig)
	}
	if err := checkYAML(text); err != nil {
		return nil, err
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		if syntax, ok := errors.AsType[*yaml.SyntaxError](err); ok && syntax.Token != nil {
			return nil, fmt.Errorf("line %d: %s", syntax.Token.Position.Line, syntax.Message)
		}
		return nil, errors.New("not YAML")
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, errors.New("not one document")
	}
	c := converter{at: 1}
	if err := c.node(file.Docs[0].Body, nil); err != nil {
		return nil, err
	}
	return &document{json: c.out.Bytes(), rules: c.rules}, nil
}

// checkYAML refuses what would cost a parser more than its length, before it is
// asked: each level of nesting is a bracket, or a "- " or "? " or a deeper
// indentation at the beginning of a line.
func checkYAML(text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("not UTF-8")
	}
	brackets, number := 0, 0
	for line := range bytes.Lines(text) {
		number++
		depth := bytes.IndexFunc(line, func(r rune) bool { return r != ' ' })
		marks := bytes.Count(line, []byte("- ")) + bytes.Count(line, []byte("? "))
		brackets = max(brackets+bytes.Count(line, []byte("["))+bytes.Count(line, []byte("{"))-bytes.Count(line, []byte("]"))-bytes.Count(line, []byte("}")), 0)
		if depth > 16*maxYAMLDepth || marks > 16*maxYAMLDepth || brackets > maxYAMLDepth || len(line) > 64<<10 {
			return fmt.Errorf("line %d: nested too deep, or too long", number)
		}
	}
	return nil
}

// converter writes nodes as JSON.
type converter struct {
	out   bytes.Buffer
	at    int // the line that is being written
	rules []int
}

// seek goes on to the line where n is.
func (c *converter) seek(n ast.Node) int {
	line := c.at
	if t := n.GetToken(); t != nil && t.Position != nil {
		line = max(t.Position.Line, c.at)
	}
	for ; c.at < line; c.at++ {
		c.out.WriteByte('\n')
	}
	return line
}

func (c *converter) fail(n ast.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", c.seek(n), fmt.Sprintf(format, args...))
}

// node writes n, which is at path.
func (c *converter) node(n ast.Node, path []string) error {
	if len(path) > maxYAMLDepth {
		return c.fail(n, "nested too deep")
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return c.mapping(n, n.Values, path)
	case *ast.MappingValueNode:
		return c.mapping(n, []*ast.MappingValueNode{n}, path)
	case *ast.SequenceNode:
		return c.sequence(n, path)
	case *ast.StringNode:
		c.seek(n)
		return c.text(n.Value)
	case *ast.LiteralNode:
		c.seek(n)
		return c.text(n.Value.Value)
	case *ast.NullNode:
		c.seek(n)
		c.out.WriteString("null")
	case *ast.BoolNode:
		c.seek(n)
		c.out.WriteString(strconv.FormatBool(n.Value))
	case *ast.IntegerNode, *ast.FloatNode:
		return c.number(n)
	default:
		return c.fail(n, "%s is not allowed here", strings.ToLower(n.Type().String()))
	}
	return nil
}

func (c *converter) text(s string) error {
	b, err := json.Marshal(s)
	c.out.Write(b)
	return err
}

func (c *converter) number(n ast.Node) error {
	c.seek(n)
	b, err := json.Marshal(n.(ast.ScalarNode).GetValue())
	if err != nil {
		return c.fail(n, "not a number")
	}
	c.out.Write(b)
	return nil
}

// mapping writes an object. The top one may say "type: google.api.Service", which
// is no field of it but says what it is.
func (c *converter) mapping(n ast.Node, values []*ast.MappingValueNode, path []string) error {
	c.seek(n)
	c.out.WriteByte('{')
	first := true
	for _, v := range values {
		key, ok := v.Key.(*ast.StringNode)
		if !ok {
			return c.fail(v, "a key must be a name")
		}
		if len(path) == 0 && key.Value == "type" {
			if is, ok := v.Value.(*ast.StringNode); !ok || is.Value != "google.api.Service" {
				return c.fail(v, "type is not google.api.Service")
			}
			continue
		}
		if !first {
			c.out.WriteByte(',')
		}
		first = false
		c.seek(key)
		if err := c.text(key.Value); err != nil {
			return err
		}
		c.out.WriteByte(':')
		if err := c.node(v.Value, append(path[:len(path):len(path)], key.Value)); err != nil {
			return err
		}
	}
	c.out.WriteByte('}')
	return nil
}

func (c *converter) sequence(n *ast.SequenceNode, path []string) error {
	c.seek(n)
	c.out.WriteByte('[')
	for i, v := range n.Values {
		if i > 0 {
			c.out.WriteByte(',')
		}
		line := c.seek(v)
		if len(path) == 2 && path[0] == "http" && path[1] == "rules" {
			c.rules = append(c.rules, line)
		}
		if err := c.node(v, append(path[:len(path):len(path)], "[]")); err != nil {
			return err
		}
	}
	c.out.WriteByte(']')
	return nil
}
