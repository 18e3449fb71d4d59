package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// The addresses that are used unless said otherwise.
const (
	DefaultGRPC = "127.0.0.1:9151"
	DefaultHTTP = "127.0.0.1:8151"
)

// CheckLoopback returns nil if addr, a host and a port, can be reached from this
// machine only: an IP address of loopback, or a host all of whose addresses are. No
// host means every address of the machine, and is refused. Errors are *Problem.
func CheckLoopback(ctx context.Context, addr string) error {
	return checkLoopback(ctx, addr, func(ctx context.Context, host string) ([]netip.Addr, error) {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	})
}

func checkLoopback(ctx context.Context, addr string, resolve func(ctx context.Context, host string) ([]netip.Addr, error)) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return &Problem{Msg: fmt.Sprintf("%q is not an address", addr), Hint: "an address is a host and a port, such as " + DefaultGRPC, Err: err, Usage: true}
	}
	if host == "" {
		return remoteProblem(addr, "every address of this machine")
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Unmap().IsLoopback() {
			return nil
		}
		return remoteProblem(addr, "not a loopback address")
	}
	ips, err := resolve(ctx, host)
	if err != nil || len(ips) == 0 {
		return &Problem{Msg: fmt.Sprintf("%s: the host cannot be resolved", addr), Hint: "name an IP address, such as " + DefaultGRPC, Err: err}
	}
	for _, ip := range ips {
		if !ip.Unmap().IsLoopback() {
			return remoteProblem(addr, fmt.Sprintf("%s, not a loopback address", ip))
		}
	}
	return nil
}

func remoteProblem(addr, what string) error {
	return &Problem{
		Msg:   fmt.Sprintf("%s is %s, and there is no authentication yet", addr, what),
		Hint:  "listen on a loopback address, such as " + DefaultGRPC + ", or say --allow-remote if all who can reach it may do everything",
		Usage: true,
	}
}

// listen opens a listener, on loopback unless remote is On.
func listen(ctx context.Context, flag, addr string, remote Switch) (net.Listener, error) {
	if remote == Off {
		if err := CheckLoopback(ctx, addr); err != nil {
			return nil, err
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, listenProblem(flag, addr, err)
	}
	// The name may resolve to something else by now.
	if bound, ok := l.Addr().(*net.TCPAddr); remote == Off && ok && !bound.IP.IsLoopback() {
		return nil, errors.Join(remoteProblem(addr, bound.IP.String()+", not a loopback address"), l.Close())
	}
	return l, nil
}
