package cli

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/longrun-dev/longrun/internal/server"
)

// isWeb reports whether an address is of a server that is asked over HTTP.
func isWeb(addr string) bool { return strings.Contains(addr, "://") }

// checkURL refuses what is not the URL of a server.
func checkURL(addr string) error {
	hint := "over HTTP it is a URL, such as http://" + server.DefaultHTTP
	refuse := func(why string) error {
		return usageProblem(fmt.Sprintf("%q is not the address of a server: %s", addr, why), hint)
	}
	u, err := url.Parse(addr)
	switch {
	case err != nil:
		return refuse("it is malformed")
	case u.Scheme != "http" && u.Scheme != "https":
		return refuse("the schemes are http and https; gRPC has none")
	case u.User != nil:
		return usageProblem("the address of a server has no user and no password", hint) // which stay unsaid
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.RawFragment != "" || strings.HasSuffix(addr, "#"):
		return refuse("it has a query or a fragment")
	case u.Hostname() == "" || strings.HasSuffix(u.Host, ":") || strings.ContainsAny(addr, " \\"):
		return refuse("it has no host")
	}
	return nil
}

// hostPort is the host and port of an address, which may be a URL.
func hostPort(addr string) string {
	u, err := url.Parse(addr)
	if !isWeb(addr) || err != nil {
		return addr
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// beginHint says how to start a server at an address, "" if nobody can here.
func beginHint(addr string) string {
	flag := "--grpc "
	switch {
	case addr == server.DefaultGRPC || addr == "http://"+server.DefaultHTTP:
		return "start one with: longrun serve"
	case strings.HasPrefix(addr, "http://"):
		flag = "--http "
		if strings.TrimRight(strings.TrimPrefix(addr, "http://"), "/") != hostPort(addr) {
			return ""
		}
	case isWeb(addr):
		return ""
	}
	if host := hostPort(addr); server.CheckLoopback(context.Background(), host) == nil && pasteable(host) {
		return "start one with: longrun serve " + flag + host
	}
	return ""
}
