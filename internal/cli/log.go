package cli

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/longrun-dev/longrun/internal/server"
)

// The forms of --log-format.
const (
	logText = "text"
	logJSON = "json"
)

// logLevels are the words of --log-level.
var logLevels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// newLog returns a log to w.
func newLog(w io.Writer, format, level string) (*slog.Logger, error) {
	least, ok := logLevels[strings.ToLower(level)]
	if !ok {
		return nil, usageProblem(fmt.Sprintf("--log-level %q is not known", level), "the levels are: debug, info, warn, error")
	}
	o := &slog.HandlerOptions{Level: least}
	switch format {
	case logText:
		return slog.New(slog.NewTextHandler(w, o)), nil
	case logJSON:
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, usageProblem(fmt.Sprintf("--log-format %q is not known", format), "the forms are: --log-format text, --log-format json")
}

// herald is welcome for programs: a log in JSON has no lines of another form between
// its own until the server has stopped.
func (a *app) herald(log *slog.Logger, s *server.Server, store string) {
	a.said = log
	log.Info("operations are kept", "store", store)
	if addr := s.HTTPAddr(); addr != "" {
		log.Info("serving HTTP", "addr", addr)
	}
	log.Info("serving gRPC", "addr", s.GRPCAddr())
}
