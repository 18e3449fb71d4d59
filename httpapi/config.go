package httpapi

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/api/serviceconfig"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// MaxServiceConfig is how many bytes a service configuration may have.
const MaxServiceConfig = 1 << 20

// ServiceConfig is what a service configuration (google.api.Service) says about
// HTTP: its http.rules, and whether it lists google.longrunning.Operations among its
// apis. Nil says nothing. It never changes.
type ServiceConfig struct {
	rules      []configRule
	operations bool // apis has google.longrunning.Operations
}

// configRule is one of http.rules.
type configRule struct {
	rule  *annotations.HttpRule
	index int
	line  int
}

// wrong says where the rule is.
func (r configRule) wrong(err error) error {
	return fmt.Errorf("service config: line %d: http.rules[%d]: %w", r.line, r.index, err)
}

// ParseServiceConfig reads a service configuration in YAML, or in JSON, which is
// YAML too. It is strict: what google.api.Service does not have is an error, and so
// are a path that is malformed, a tag, an anchor and a second document. Every error
// says the line. That the methods and their fields exist is for Handler.Check.
func ParseServiceConfig(text []byte) (*ServiceConfig, error) {
	doc, err := yamlToJSON(text)
	if err != nil {
		return nil, fmt.Errorf("service config: %w", err)
	}
	service := new(serviceconfig.Service)
	if err := protojson.Unmarshal(doc.json, service); err != nil {
		return nil, fmt.Errorf("service config: %w", doc.explain(err))
	}
	c := &ServiceConfig{}
	for _, api := range service.GetApis() {
		c.operations = c.operations || protoreflect.FullName(api.GetName()) == operations
	}
	for i, rule := range service.GetHttp().GetRules() {
		r := configRule{rule: rule, index: i, line: doc.line(i)}
		if err := r.check(); err != nil {
			return nil, r.wrong(err)
		}
		c.rules = append(c.rules, r)
	}
	return c, nil
}

// check finds what is wrong with a rule whatever its method is.
func (r configRule) check() error {
	for pattern := range selectors(r.rule) {
		name := strings.TrimSuffix(pattern, ".*")
		if !protoreflect.FullName(name).IsValid() {
			return fmt.Errorf("selector %q is not the name of a method", pattern)
		}
	}
	for i, rule := range append([]*annotations.HttpRule{r.rule}, r.rule.GetAdditionalBindings()...) {
		if i > 0 && rule.GetSelector() != "" {
			return fmt.Errorf("an additional binding has a selector")
		}
		if rule.GetPattern() == nil {
			continue // switches a method off; bindings refuses it elsewhere
		}
		if _, path := pattern(rule); path != "" {
			if _, err := parseTemplate(path); err != nil {
				return err
			}
		} else {
			return fmt.Errorf("an empty path")
		}
	}
	return nil
}

// selectors yields the patterns of a rule's selector: names of methods with commas
// between them, of which each may end in ".*".
func selectors(r *annotations.HttpRule) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for pattern := range strings.SplitSeq(r.GetSelector(), ",") {
			if !yield(strings.TrimSpace(pattern)) {
				return
			}
		}
	}
}

func (r configRule) selects(method protoreflect.FullName) bool {
	for pattern := range selectors(r.rule) {
		prefix, wild := strings.CutSuffix(pattern, "*")
		if pattern == string(method) || wild && strings.HasPrefix(string(method), prefix) {
			return true
		}
	}
	return false
}

// rule returns the rule of a method; of several the last one wins (HTTP-03).
func (c *ServiceConfig) rule(method protoreflect.FullName) (configRule, bool) {
	if c == nil {
		return configRule{}, false
	}
	for _, r := range slices.Backward(c.rules) {
		if r.selects(method) {
			return r, true
		}
	}
	return configRule{}, false
}

// Off reports whether the configuration switches a method of
// google.longrunning.Operations off, over gRPC too: it lists that interface among its
// apis and has no rule for the method (MIX-01, MIX-02). A method that has a rule
// without a path, or whose interface is not listed, has no route and is still there
// over gRPC (HTTP-16). Off of a nil configuration, and of any other method, is false.
func (c *ServiceConfig) Off(method protoreflect.FullName) bool {
	if c == nil || !c.operations || method.Parent() != operations {
		return false
	}
	_, bound := c.rule(method)
	return !bound
}

// unknownMethods returns an error for each rule whose method sd does not have.
func (c *ServiceConfig) unknownMethods(sd protoreflect.ServiceDescriptor) []error {
	if c == nil {
		return nil
	}
	var errs []error
	for _, r := range c.rules {
		for pattern := range selectors(r.rule) {
			name := protoreflect.FullName(pattern)
			if !strings.HasSuffix(pattern, "*") && name.Parent() == sd.FullName() && sd.Methods().ByName(name.Name()) == nil {
				errs = append(errs, r.wrong(fmt.Errorf("%s has no method %q", sd.FullName(), name.Name())))
			}
		}
	}
	return errs
}

func (c *ServiceConfig) unserved(services map[protoreflect.FullName]bool) []string {
	if c == nil {
		return nil
	}
	var names []string
	for _, r := range c.rules {
		for pattern := range selectors(r.rule) {
			if !strings.HasSuffix(pattern, "*") && !services[serviceOf(pattern)] {
				names = append(names, pattern)
			}
		}
	}
	return names
}
