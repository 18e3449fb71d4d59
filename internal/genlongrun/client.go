package genlongrun

import "fmt"

// operations writes the callers' half.
func (w writer) operations(s *service) {
	conn := grpcPackage.Ident("ClientConnInterface")
	w.comment(
		fmt.Sprintf("%sOperations calls the long-running methods of %s and follows what they start: every operation comes as a handle with its own types, to wait for, poll and cancel. It is safe for concurrent use.", s.GoName, s.Desc.Name()),
	)
	w.line("type %sOperations struct { cc %s }", s.GoName, conn)
	w.line("")
	w.comment(fmt.Sprintf("New%sOperations returns the operations of the service at the other end of cc. It calls nobody, and does not close cc.", s.GoName))
	w.line("func New%sOperations(cc %s) *%sOperations {", s.GoName, conn, s.GoName)
	w.line("return &%sOperations{cc: cc}", s.GoName)
	w.line("}")
	w.line("")
	for _, m := range s.methods {
		w.call(s, m)
		w.resume(s, m)
	}
}

func (w writer) call(s *service, m *method) {
	w.comment(fmt.Sprintf("%s calls %s and returns the operation that it starts. An error is the call's own; that of the work comes from the operation.", m.GoName, m.Desc.Name()))
	w.quote(m.Comments.Leading)
	w.deprecated(m)
	w.line("func (c *%sOperations) %s(ctx %s, req %s, opts ...%s) (*%s[%s, %s], error) {", s.GoName, m.GoName, contextPackage.Ident("Context"),
		w.typ(m.Input), grpcPackage.Ident("CallOption"), clientPackage.Ident("Operation"), w.typ(m.response), w.typ(m.metadata))
	w.line("op, err := %s(c.cc).%s(ctx, req, opts...)", w.file.GoImportPath.Ident("New"+s.GoName+"Client"), m.GoName)
	w.line("if err != nil {")
	w.line("return nil, err")
	w.line("}")
	w.line("return %s[%s, %s](c.cc, op), nil", clientPackage.Ident("New"), w.typ(m.response), w.typ(m.metadata))
	w.line("}")
	w.line("")
}

func (w writer) resume(s *service, m *method) {
	w.comment(fmt.Sprintf("%sOperation returns the operation of %s with this name, which may have been started by another process. It calls nobody: whether there is one, and whether it is one of %s, its Wait and Poll tell.", m.GoName, m.Desc.Name(), m.Desc.Name()))
	w.deprecated(m)
	w.line("func (c *%sOperations) %sOperation(name string) *%s[%s, %s] {", s.GoName, m.GoName, clientPackage.Ident("Operation"), w.typ(m.response), w.typ(m.metadata))
	w.line("return %s[%s, %s](c.cc, name)", clientPackage.Ident("Resume"), w.typ(m.response), w.typ(m.metadata))
	w.line("}")
	w.line("")
}
