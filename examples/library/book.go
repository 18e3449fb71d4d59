package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	pb "github.com/longrun-dev/longrun/examples/library/librarypb"
	"github.com/longrun-dev/longrun/sqlite"
)

// CreateBook adds a book.
func (l *library) CreateBook(ctx context.Context, req *pb.CreateBookRequest) (book *pb.Book, err error) {
	if err := checkShelf("parent", req.GetParent()); err != nil {
		return nil, err
	}
	if _, err := l.shelf(ctx, req.GetParent()); err != nil { // settled
		return nil, err
	}
	err = l.store.Tx(ctx, func(tx *sqlite.Tx) error {
		if err := usableShelf(tx.Conn(), req.GetParent()); err != nil {
			return err
		}
		book, err = addBook(tx.Conn(), req.GetParent(), req, "")
		return err
	})
	return book, err
}

// GetBook returns a book.
func (l *library) GetBook(ctx context.Context, req *pb.GetBookRequest) (book *pb.Book, err error) {
	if err := checkBook("name", req.GetName()); err != nil {
		return nil, err
	}
	err = l.store.View(ctx, func(c *zombiezen.Conn) error {
		book, err = findBook(c, req.GetName())
		return err
	})
	return book, err
}

// ListBooks returns a page of the books of a shelf.
func (l *library) ListBooks(ctx context.Context, req *pb.ListBooksRequest) (*pb.ListBooksResponse, error) {
	if err := checkShelf("parent", req.GetParent()); err != nil {
		return nil, err
	}
	size, err := pageSize(req.GetPageSize())
	if err != nil {
		return nil, err
	}
	after, err := readToken(req.GetParent()+"/books", req.GetPageToken())
	if err != nil {
		return nil, err
	}
	resp := &pb.ListBooksResponse{}
	err = l.store.View(ctx, func(c *zombiezen.Conn) error {
		if _, err := findShelf(c, req.GetParent()); err != nil {
			return err
		}
		resp.Books, err = selectBooks(c, "shelf = ? AND name > ? ORDER BY name LIMIT ?", req.GetParent(), after, size+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(resp.Books) > size {
		resp.Books = resp.Books[:size]
		resp.NextPageToken = nextToken(req.GetParent()+"/books", resp.Books[size-1].GetName())
	}
	return resp, nil
}

// DeleteBook deletes a book.
func (l *library) DeleteBook(ctx context.Context, req *pb.DeleteBookRequest) (*emptypb.Empty, error) {
	if err := checkBook("name", req.GetName()); err != nil {
		return nil, err
	}
	err := l.store.Tx(ctx, func(tx *sqlite.Tx) error {
		book, err := findBook(tx.Conn(), req.GetName())
		if err != nil {
			return err
		}
		if req.GetEtag() != "" && req.GetEtag() != book.GetEtag() {
			return fault(codes.Aborted, "ETAG_MISMATCH", req.GetName(), "the book %q is another one: its etag is not this", req.GetName())
		}
		return deleteBook(tx.Conn(), req.GetName())
	})
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// selectBooks returns the books for which the rest of a SELECT, from its condition on,
// holds.
func selectBooks(c *zombiezen.Conn, condition string, args ...any) (books []*pb.Book, err error) {
	err = sqlitex.Execute(c, `SELECT name, title, author, create_time FROM book WHERE `+condition,
		&sqlitex.ExecOptions{Args: args, ResultFunc: func(row *zombiezen.Stmt) error {
			books = append(books, &pb.Book{
				Name: row.ColumnText(0), Title: row.ColumnText(1), Author: row.ColumnText(2),
				CreateTime: timestamppb.New(time.UnixMicro(row.ColumnInt64(3))),
				Etag:       fmt.Sprintf(`"%x"`, row.ColumnInt64(3)),
			})
			return nil
		}})
	return books, err
}

// findBook returns a book, or NOT_FOUND.
func findBook(c *zombiezen.Conn, name string) (*pb.Book, error) {
	books, err := selectBooks(c, "shelf = ? AND name = ?", shelfOf(name), name)
	if err == nil && len(books) == 0 {
		err = fault(codes.NotFound, "BOOK_NOT_FOUND", name, "there is no book %q", name)
	}
	if err != nil {
		return nil, err
	}
	return books[0], nil
}

// addBook adds a book to a shelf. The row says by what it was added: an operation that
// does so again after a crash, under the same by, finds its own book, which is no error.
func addBook(c *zombiezen.Conn, shelf string, req *pb.CreateBookRequest, by string) (*pb.Book, error) {
	if err := checkNewBook(shelf, req); err != nil {
		return nil, err
	}
	name := bookName(shelf, req.GetBookId())
	err := sqlitex.Execute(c, `INSERT INTO book (shelf, name, title, author, added_by, create_time) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		&sqlitex.ExecOptions{Args: []any{shelf, name, req.GetBook().GetTitle(), req.GetBook().GetAuthor(), by, time.Now().UnixMicro()}})
	if err != nil {
		return nil, err
	}
	if c.Changes() > 0 {
		return findBook(c, name)
	}
	books, err := selectBooks(c, "shelf = ? AND name = ? AND added_by = ? AND added_by <> ''", shelf, name, by)
	if err == nil && len(books) == 0 {
		err = fault(codes.AlreadyExists, "BOOK_EXISTS", name, "there is a book %q already", name)
	}
	if err != nil {
		return nil, err
	}
	return books[0], nil
}

// checkNewBook says what is wrong with a request to add a book to a shelf.
func checkNewBook(shelf string, req *pb.CreateBookRequest) error {
	if req.GetParent() != "" && req.GetParent() != shelf {
		return invalid("parent", "must be that of the batch, or empty")
	}
	if err := checkID("book_id", req.GetBookId()); err != nil {
		return err
	}
	if req.GetBook().GetTitle() == "" {
		return invalid("book.title", "is required")
	}
	if err := checkText("book.title", req.GetBook().GetTitle()); err != nil {
		return err
	}
	return checkText("book.author", req.GetBook().GetAuthor())
}

// deleteBook deletes a book; that there is none is no error.
func deleteBook(c *zombiezen.Conn, name string) error {
	return sqlitex.Execute(c, `DELETE FROM book WHERE shelf = ? AND name = ?`, &sqlitex.ExecOptions{Args: []any{shelfOf(name), name}})
}
