package server_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/longrun-dev/longrun/internal/server"
)

// A mistake comes back with what to do about it, and leaves nothing open.
func ExampleOpen() {
	_, err := server.Open(context.Background(), server.Options{GRPC: ":9151"})
	if p, ok := errors.AsType[*server.Problem](err); ok {
		fmt.Println("error:", p.Msg)
		fmt.Println("hint:", p.Hint)
	}
	// Output:
	// error: :9151 is every address of this machine, and there is no authentication yet
	// hint: listen on a loopback address, such as 127.0.0.1:9151, or say --allow-remote if all who can reach it may do everything
}

func ExampleCheckLoopback() {
	fmt.Println(server.CheckLoopback(context.Background(), "127.0.0.1:9151"))
	fmt.Println(server.CheckLoopback(context.Background(), "0.0.0.0:9151"))
	// Output:
	// <nil>
	// 0.0.0.0:9151 is not a loopback address, and there is no authentication yet
}

func ExampleCheck() {
	_, err := server.Check(context.Background(), "no/such/longrun.db")
	fmt.Println(err != nil)
	// Output: true
}
