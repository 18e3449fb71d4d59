package longrun

import (
	"context"

	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun/filter"
)

// ListRequest asks for a page of operations.
type ListRequest struct {
	// Parent is the resource whose operations are listed, or its collection
	// ("P/operations"), or has "-" for segments, or is "-" for every parent
	// (LST-02, LST-03, LST-08). Lists are not recursive (LST-07).
	Parent string
	// Filter is an AIP-160 filter over operations as callers see them; blank for
	// all (LST-09, FLT-01). docs/filter.md has the language. One that is none is
	// INVALID_ARGUMENT, whatever there is to list (FLT-44, FLT-45).
	Filter string
	// PageSize is how many operations to return at most: 0 means 100, above
	// 1,000 means 1,000, negative is INVALID_ARGUMENT (PAG-01 to PAG-03).
	PageSize int
	// PageToken is ListPage.NextPageToken of the page before.
	PageToken string
}

// ListPage is a page of operations.
type ListPage struct {
	// Operations, newest first (ORD-02). May be fewer than asked for, and none,
	// with a token (PAG-04): a page with a filter or a wildcard reads only so many
	// rows, and takes only so long.
	Operations []*Operation
	// NextPageToken is empty if and only if there is no more (PAG-05).
	NextPageToken string
}

// scanFactor is how many rows a page reads at most for each operation that it
// may return, where not all rows match.
const scanFactor = 20

// List returns a page of the operations under a parent. A parent that nobody has
// used is an empty list: parents are not ours to know (LST-05).
func (s *Service) List(ctx context.Context, r ListRequest) (ListPage, error) {
	parent, malformed := ParseListParent(r.Parent)
	if err := s.authorizeParent(ctx, VerbList, parent, Name{}); err != nil {
		return ListPage{}, err
	}
	if malformed != nil {
		return ListPage{}, s.fault("list", Name{}, malformed)
	}
	page, err := s.list(ctx, parent, r)
	return page, s.fault("list", Name{}, err)
}

func (s *Service) list(ctx context.Context, parent string, r ListRequest) (ListPage, error) {
	switch {
	case r.PageSize < 0:
		return ListPage{}, &Error{Code: codes.InvalidArgument, Reason: ReasonInvalidPageSize, Field: "page_size", Msg: "page_size must not be negative"}
	case r.PageSize == 0:
		r.PageSize = DefaultPageSize
	}
	limit := min(r.PageSize, MaxPageSize)
	q := Query{Parent: parent, Limit: limit}
	if HasWildcard(parent) {
		q.Scan = scanFactor * max(limit, DefaultPageSize)
	}
	var err error
	if q.Where, err = s.where(r.Filter); err != nil {
		return ListPage{}, err
	}
	sealer, err := s.sealer(ctx)
	if err != nil {
		return ListPage{}, err
	}
	if r.PageToken != "" {
		if q.After, err = sealer.open(r.PageToken, r.scope(parent)); err != nil {
			return ListPage{}, err
		}
	}
	page, err := s.page(ctx, q)
	if err != nil {
		return ListPage{}, err
	}
	out := ListPage{Operations: page.Operations}
	if page.More {
		out.NextPageToken = sealer.seal(page.Next, r.scope(parent))
	}
	return out, nil
}

func (s *Service) page(ctx context.Context, q Query) (Page, error) {
	if q.Where != nil {
		return s.filteredPage(ctx, q)
	}
	page, err := s.store.List(ctx, q)
	cut(&page)
	return page, err
}

// scope is what a page token is bound to: everything in the request but the page
// size (PAG-08, PAG-09). Filters are compared as they were sent (PAG-10); the two
// spellings of a parent are the same parent.
func (r ListRequest) scope(parent string) string { return parent + "\x00" + r.Filter }

// cut shortens a page to MaxPageBytes (GRPC-07). One operation always fits.
func cut(p *Page) {
	size := 0
	for i, op := range p.Operations {
		size += renderedBytes(op)
		if size > MaxPageBytes && i > 0 {
			last := p.Operations[i-1]
			p.Operations = p.Operations[:i]
			p.Next, p.More = Cursor{CreateTime: last.CreateTime, ID: last.ID}, true
			return
		}
	}
}

// where compiles a filter; a blank one is none.
func (s *Service) where(text string) (*filter.Filter, error) {
	if text == "" {
		return nil, nil
	}
	f, err := s.compile(text)
	if err != nil {
		return nil, err
	}
	if all, ok := f.Expr().(filter.All); ok && len(all) == 0 {
		return nil, nil
	}
	return f, nil
}
