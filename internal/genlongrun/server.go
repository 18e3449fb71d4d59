package genlongrun

import "fmt"

// handlers writes the struct of the author's functions.
func (w writer) handlers(s *service) {
	w.comment(
		fmt.Sprintf("%sHandlers is the work of %s: a function for each of its long-running methods. A method whose function is nil answers UNIMPLEMENTED from the starter that Handle%s returns.", s.GoName, s.Desc.Name(), s.GoName),
		"A function runs at least once for each operation: after a crash it runs again, from its beginning. What run.Step and longrun.StepResult have remembered is skipped then; the work inside a step that was interrupted is not. ctx ends when the run must stop, never with the call that started the operation. The function returns the response, or an error: a Status is kept whole, UNAVAILABLE is tried again, longrun.RetryAfter asks for another run, and anything else ends as INTERNAL and goes to the log. The comment of longrun.Handle has the rest.",
		"A Begin function runs in the starting call, after the request id was found new and before anything is stored, also for validate_only. It refuses the call by a Status, and may set target, verb, labels, conflict key and first metadata of the draft. nil accepts every call that longrun accepts.",
	)
	w.line("type %sHandlers struct {", s.GoName)
	for i, m := range s.methods {
		if i > 0 {
			w.line("")
		}
		w.comment(fmt.Sprintf("%s does the work of %s.", m.GoName, m.Desc.Name()))
		w.quote(m.Comments.Leading)
		w.deprecated(m)
		w.line("%s func(%s, %s, *%s[%s]) (%s, error)", m.GoName, contextPackage.Ident("Context"), w.typ(m.Input), longrunPackage.Ident("Run"), w.typ(m.metadata), w.typ(m.response))
		w.comment(fmt.Sprintf("Begin%s may refuse a call of %s and fill in the draft of its operation.", m.GoName, m.Desc.Name()))
		w.deprecated(m)
		w.line("Begin%s func(%s, %s, *%s) error", m.GoName, contextPackage.Ident("Context"), w.typ(m.Input), longrunPackage.Ident("Draft"))
	}
	w.line("}")
	w.line("")
}

// constructors write the two ways to make a starter.
func (w writer) constructors(s *service) {
	svc := longrunPackage.Ident("Service")
	w.comment(
		fmt.Sprintf("Handle%s registers what is set in h: the runners of this process do that work. The starter that it returns starts those methods, and answers UNIMPLEMENTED for the others.", s.GoName),
		fmt.Sprintf("It panics when a method is handled already or has a wrong option, and when a Begin function comes without the function beside it: for work that is done elsewhere there are longrun.Begin and New%sStarter. Register before runners run.", s.GoName),
	)
	w.line("func Handle%s(svc *%s, h %sHandlers) *%sStarter {", s.GoName, svc, s.GoName, s.GoName)
	w.line("s := &%sStarter{svc: svc}", s.GoName)
	for _, m := range s.methods {
		w.line("switch {")
		w.line("case h.%s != nil:", m.GoName)
		w.line("s.%s = new(%s)", field(m), variable(m))
		w.line("%s(svc, *s.%s, h.%s)", longrunPackage.Ident("Handle"), field(m), m.GoName)
		w.line("if h.Begin%s != nil {", m.GoName)
		w.line("%s(svc, *s.%s, h.Begin%s)", longrunPackage.Ident("Begin"), field(m), m.GoName)
		w.line("}")
		w.line("case h.Begin%s != nil:", m.GoName)
		w.line("panic(%q)", fmt.Sprintf("Handle%s: Begin%s without %s: use longrun.Begin and New%sStarter where the work is done elsewhere", s.GoName, m.GoName, m.GoName, s.GoName))
		w.line("}")
	}
	w.line("return s")
	w.line("}")
	w.line("")

	w.comment(
		fmt.Sprintf("New%sStarter returns a starter of every long-running method of %s, for a process that does none of the work itself: an API node whose runners or workers are elsewhere. svc then knows their types and policies, and runs nothing. Hooks are registered by longrun.Begin. It panics when a method has a wrong option.", s.GoName, s.Desc.Name()),
	)
	w.line("func New%sStarter(svc *%s) *%sStarter {", s.GoName, svc, s.GoName)
	w.line("s := &%sStarter{svc: svc}", s.GoName)
	for _, m := range s.methods {
		w.line("s.%s = new(%s)", field(m), variable(m))
		w.line("%s(svc, *s.%s)", longrunPackage.Ident("Declare"), field(m))
	}
	w.line("return s")
	w.line("}")
	w.line("")
}

// starter writes the server's half of the methods.
func (w writer) starter(s *service) {
	unimplemented := "Unimplemented" + s.GoName + "Server"
	w.comment(
		fmt.Sprintf("%sStarter answers the long-running methods of %s: a call starts an operation, which is on disk when it is returned. Handle%s and New%sStarter make one; a zero one answers UNIMPLEMENTED. It is safe for concurrent use.", s.GoName, s.Desc.Name(), s.GoName, s.GoName),
		fmt.Sprintf("Embed *%sStarter in the gRPC server instead of %s, which it embeds itself (a server that embeds both does not compile), and write the other methods beside it.", s.GoName, unimplemented),
	)
	w.line("type %sStarter struct {", s.GoName)
	w.line("%s", w.file.GoImportPath.Ident(unimplemented))
	w.line("")
	w.line("svc *%s", longrunPackage.Ident("Service"))
	for _, m := range s.methods {
		w.line("%s *%s[%s, %s, %s] // nil: UNIMPLEMENTED", field(m), longrunPackage.Ident("Method"), w.typ(m.Input), w.typ(m.response), w.typ(m.metadata))
	}
	w.line("}")
	w.line("")
	for _, m := range s.methods {
		w.start(s, m)
	}
}

func (w writer) start(s *service, m *method) {
	w.comment(fmt.Sprintf("%s starts an operation whose response is of type %s. %s", m.GoName, m.response.Desc.Name(), howStarted(m)))
	w.deprecated(m)
	w.line("func (s *%sStarter) %s(ctx %s, req %s) (%s, error) {", s.GoName, m.GoName, contextPackage.Ident("Context"), w.typ(m.Input), w.typ(m.Output))
	w.line("if s.%s == nil {", field(m))
	w.line("return s.Unimplemented%sServer.%s(ctx, req)", s.GoName, m.GoName)
	w.line("}")
	w.line("op, err := %s(ctx, s.svc, *s.%s, req, %s{%s})", longrunPackage.Ident("Start"), field(m), longrunPackage.Ident("StartOptions"), startOptions(m))
	w.line("return s.svc.Proto(op), err")
	w.line("}")
	w.line("")
}

func howStarted(m *method) string {
	switch {
	case m.start.requestID != "" && m.start.validateOnly != "":
		return "The same request_id again returns the same operation; validate_only checks everything and stores nothing."
	case m.start.requestID != "":
		return "The same request_id again returns the same operation."
	case m.start.validateOnly != "":
		return "validate_only checks everything and stores nothing."
	}
	return ""
}

func startOptions(m *method) string {
	options := ""
	if m.start.requestID != "" {
		options = "RequestID: " + m.start.requestID
	}
	if m.start.validateOnly != "" {
		if options != "" {
			options += ", "
		}
		options += "ValidateOnly: " + m.start.validateOnly
	}
	return options
}

// field is the name of a method's field in the starter: never that of a method of
// Go, which begins in upper case, nor svc.
func field(m *method) string {
	return string(m.GoName[0]|0x20) + m.GoName[1:] + "Method"
}
