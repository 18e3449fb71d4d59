// Package sqlwhere turns a checked filter into a condition in SQL that every
// operation meets which the filter matches: a necessary condition. The filter
// itself is judged in Go, on what callers see; SQL only leaves out rows that need
// not be read.
//
//	w := sqlwhere.Build(f.Expr(), columns)
//	rows := query("SELECT ... WHERE "+w.SQL, w.Args...)
//
// # How
//
// Each restriction has two conditions: one that must hold where it matches, and
// one under which it surely does. What SQL cannot say must hold always (TRUE) and
// is never sure (FALSE). AND and OR join conditions of one sort; NOT swaps the
// sorts: what must hold for NOT x is that x is not sure.
//
// # Rules
//
//   - Nothing from a filter is ever part of the SQL text. It is bound, as Args in
//     the order of the placeholders.
//   - No condition is ever NULL, so that NOT of it is what it says.
//   - The payload of metadata may be any message, and the columns only know what
//     the engine has put into its own. So a restriction on metadata also holds
//     where the row's metadata may be one of the others that have the field; and
//     it is never sure.
//
// # Limits
//
// The engine's own facts about operations are assumed: done, response and error
// follow from the state, and no time is before the create time.
package sqlwhere
