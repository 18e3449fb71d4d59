package groupcommit_test

import (
	"context"
	"fmt"

	"github.com/longrun-dev/longrun/internal/groupcommit"
)

func Example() {
	q := groupcommit.New(groupcommit.Limits{}, func(batch []string) {
		fmt.Println("commit", batch)
	})
	done := make(chan struct{})
	go func() { defer close(done); q.Run() }()

	fmt.Println(q.Do(context.Background(), "a", 1))
	q.Close()
	fmt.Println(q.Do(context.Background(), "b", 1))
	<-done
	// Output:
	// commit [a]
	// <nil>
	// group commit: queue is closed
}
