package httpapi

import (
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// operations is the interface that the default routes of this file are for.
const (
	operations    protoreflect.FullName = "google.longrunning.Operations"
	waitOperation                       = operations + ".WaitOperation"
)

// anyParent are bindings beside those of the proto file, where only operations at
// the top have a path. Clients without a service configuration ask in these shapes
// (HTTP-05), and no rule of the proto file binds WaitOperation (WAI-18).
var anyParent = map[protoreflect.FullName][]*annotations.HttpRule{
	operations + ".ListOperations":  {get("/v1/{name=**}/operations")},
	operations + ".GetOperation":    {get("/v1/{name=**/operations/*}")},
	operations + ".DeleteOperation": {{Pattern: &annotations.HttpRule_Delete{Delete: "/v1/{name=**/operations/*}"}}},
	operations + ".CancelOperation": {post("/v1/{name=**/operations/*}:cancel")},
	waitOperation:                   {post("/v1/{name=operations/**}:wait"), post("/v1/{name=**/operations/*}:wait")},
}

func get(path string) *annotations.HttpRule {
	return &annotations.HttpRule{Pattern: &annotations.HttpRule_Get{Get: path}}
}

func post(path string) *annotations.HttpRule {
	return &annotations.HttpRule{Pattern: &annotations.HttpRule_Post{Post: path}, Body: "*"}
}

// rules returns the rules of a method: those of the service configuration if it has
// any, else that of the proto file and those of anyParent.
func (h *Handler) rules(md protoreflect.MethodDescriptor) []*annotations.HttpRule {
	if rule, ok := h.config.rule(md.FullName()); ok {
		return []*annotations.HttpRule{rule.rule}
	}
	if h.config.Off(md.FullName()) {
		return nil
	}
	var rules []*annotations.HttpRule
	if rule := annotated(md); rule != nil {
		rules = append(rules, rule)
	}
	return append(rules, anyParent[md.FullName()]...)
}

// DefaultRoutes returns the routes that a method has where no service configuration
// says otherwise, in the order of its rules: what a client needs who knows the proto
// files and nothing of the server. A method without a rule has none. The error says
// what is wrong with a rule.
func DefaultRoutes(md protoreflect.MethodDescriptor) ([]Route, error) {
	var routes []Route
	m := &method{desc: md}
	for _, rule := range new(Handler).rules(md) {
		list, err := m.bindings(rule)
		if err != nil {
			return nil, err
		}
		for _, b := range list {
			routes = append(routes, b.route())
		}
	}
	return routes, nil
}

// bareWait is how Google's Go client sends WaitOperation, for which it knows no path:
// GET /?name=...&timeout=... (WAI-20).
func (h *Handler) bareWait(m *method) (*binding, error) {
	if m.desc.FullName() != waitOperation || h.config.Off(waitOperation) {
		return nil, nil
	}
	if rule, ok := h.config.rule(waitOperation); ok && rule.rule.GetPattern() == nil {
		return nil, nil
	}
	b, err := m.binding(get("/"))
	if err != nil {
		return nil, err
	}
	b.needs = "name"
	return b, nil
}
