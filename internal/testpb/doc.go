// Package testpb holds messages for the tests of other packages, generated from
// library.proto beside it: batches, required fields and updates, in the shapes that
// the AIPs give them. No program imports it.
//
//	req := &testpb.CreateBookRequest{Parent: "shelves/s"} // without the book that is required
package testpb

//go:generate ./generate.sh
