package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func TestParseConfig(t *testing.T) {
	t.Parallel()
	c, err := parseConfig("x.yaml", []byte(`# for all
server: 127.0.0.1:1
wait: true
serve:
  retention: 24h # a day
  descriptor-set:
    - a.binpb
    - "b c.binpb"
list: {limit: 007, parent: "-"}
get:
start:
  request: |
    {"a": 1}
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range c.settings {
		got = append(got, fmt.Sprintf("%d %s.%s=%q", s.line, s.command, s.flag, s.values))
	}
	want := []string{
		`2 .server=["127.0.0.1:1"]`, `3 .wait=["true"]`, `4 serve.=[]`, `5 serve.retention=["24h"]`, `6 serve.descriptor-set=["a.binpb" "b c.binpb"]`,
		`9 list.=[]`, `9 list.limit=["007"]`, `9 list.parent=["-"]`, `10 get.=[]`, `11 start.=[]`, `12 start.request=["{\"a\": 1}\n"]`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("settings:\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	if err := c.check(); err != nil {
		t.Errorf("check = %v, want nil", err)
	}
	for _, empty := range []string{"", "# nothing\n", "---\n", "{}"} {
		if c, err := parseConfig("x.yaml", []byte(empty)); err != nil || len(c.settings) > 0 {
			t.Errorf("parseConfig(%q) = %+v, %v; want nothing", empty, c, err)
		}
	}
}

// What is refused names the file and the line.
func TestConfig_Refuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"server: a\nlimit: x", `x.yaml:2: limit: "x": must be a whole number`},
		{"limit: 1.5", `x.yaml:1: limit: "1.5": must be a whole number`},
		{"wait: 5", `x.yaml:1: wait: "5": must be true or false`},
		{"start:\n  wait: perhaps", `x.yaml:2: wait: "perhaps": must be true or false`},
		{"server:", `x.yaml:1: "server" has no value that a flag could have`},
		{"server: null", `x.yaml:1: "server" has no value that a flag could have`},
		{"server: !!str x", `x.yaml:1: "server" has no value that a flag could have`},
		{"server: &a x", `x.yaml:1: "server" has no value that a flag could have`},
		{"server: {a: b}", `x.yaml:1: there is no command "server"`},
		{"help: true", `x.yaml:1: no command has a flag "help"`},
		{"help:\n  x: y", `x.yaml:1: there is no command "help"`},
		{"environment:\n  x: y", `x.yaml:1: there is no command "environment"`},
		{"list:\n  config: a", `x.yaml:2: longrun list has no flag "config"`},
		{"label: [a=b, [c]]", `x.yaml:1: a value of "label" is neither text nor a number`},
		{"? [a]\n: b", `x.yaml:`},
		{"a: b\n---\nc: d", `x.yaml:3: a second document`},
		{"- a", "x.yaml:1: want keys and values"},
		{"a", "x.yaml:1: want keys and values"},
		{"server: a\nserver: b", "x.yaml:2: "},
		{"list:\n  limit: 1\n  limit: 2", "x.yaml:3: "},
		{"list:\n  limit: 1\nlist:\n  limit: 2", "x.yaml:3: "},
		{"server: \"a", "x.yaml:1: "},
		{"\tserver: a", "x.yaml:1: "},
	} {
		c, err := parseConfig("x.yaml", []byte(tt.in))
		if err == nil {
			err = c.check()
		}
		p, ok := errors.AsType[*problem](err)
		if !ok || p.exit != exitUsage || !strings.HasPrefix(p.msg, tt.want) || strings.Contains(p.msg, "\n") || p.hint == "" {
			t.Errorf("%q: %+v, want %q in one line, exit status 2 and a hint", tt.in, err, tt.want)
		}
	}
}

// A key may be for all and for one command, also of a flag that is given once.
func TestConfig_SpecificFirst(t *testing.T) {
	t.Parallel()
	c, err := parseConfig("x.yaml", []byte("conflict-key: a\nstart:\n  conflict-key: b\n"))
	if err == nil {
		err = c.check()
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := c.find("start", "conflict-key"); got == nil || got.values[0] != "b" {
		t.Errorf("find = %+v, want b", got)
	}
	if got := c.find("run", "conflict-key"); got == nil || got.values[0] != "a" {
		t.Errorf("find for another command = %+v, want a", got)
	}
	if got := c.find("start", "server"); got != nil {
		t.Errorf("find of what is not there = %+v, want nil", got)
	}
}

func TestReadConfig_Limit(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.yaml")
	line := "server: a\n"
	for size, ok := range map[int]bool{maxConfigBytes: true, maxConfigBytes + 1: false} {
		if err := os.WriteFile(file, []byte(line+"#"+strings.Repeat("x", size-len(line)-1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readConfig(file); (err == nil) != ok {
			t.Errorf("a file of %d bytes: %v, want ok = %v", size, err, ok)
		}
	}
}

// Whatever is in a file, it is read or refused in one line.
func FuzzParseConfig(f *testing.F) {
	f.Add("server: a\nlist:\n  limit: 5\n")
	f.Add("label: [a, b]\nserve: {store: x}\n")
	f.Add("a: &x b\nc: *x\n<<: *x\n")
	f.Add("? a\n: - b\n")
	f.Add("%YAML 1.2\n---\n!!map {}\n...\n")
	f.Fuzz(func(t *testing.T, in string) {
		if len(in) > maxConfigBytes {
			return
		}
		c, err := parseConfig("x.yaml", []byte(in))
		if err == nil {
			err = c.check()
		}
		if p, ok := errors.AsType[*problem](err); err != nil && (!ok || !strings.HasPrefix(p.msg, "x.yaml")) {
			t.Errorf("%q: %v", in, err)
		}
	})
}

// Every flag of every command has a variable, and no two flags of a command share one.
func TestEnvNames(t *testing.T) {
	t.Parallel()
	for _, cmd := range schema() {
		taken := map[string]string{}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			for _, name := range envNames(cmd, f.Name) {
				if other := taken[name]; other != "" {
					t.Errorf("%s stands for --%s and --%s of %s", name, f.Name, other, cmd.Name())
				}
				taken[name] = f.Name
			}
		})
	}
	if got, want := envNames(&cobra.Command{Use: "exit-codes"}, "log-format"), []string{"LONGRUN_EXIT_CODES_LOG_FORMAT", "LONGRUN_LOG_FORMAT"}; !slices.Equal(got, want) {
		t.Errorf("envNames = %v, want %v", got, want)
	}
}

// Each flag of each command takes what its variable says.
func TestSettle_EveryFlag(t *testing.T) {
	t.Parallel()
	values := map[string]string{"bool": "true", "duration": "7s", "int": "7", "int32": "7", "string": "seven", "stringArray": "seven"}
	for _, cmd := range schema() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !isSettable(f) {
				return
			}
			want := values[f.Value.Type()]
			for _, name := range envNames(cmd, f.Name) {
				fresh := schema()[slices.IndexFunc(schema(), func(c *cobra.Command) bool { return c.Name() == cmd.Name() })]
				a := &app{env: func(v string) string {
					if v == name {
						return want
					}
					return ""
				}}
				if err := a.settle(fresh); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if got := strings.Trim(fresh.Flags().Lookup(f.Name).Value.String(), "[]"); got != want {
					t.Errorf("%s=%s: --%s = %q", name, want, f.Name, got)
				}
				if fresh.Flags().Changed(f.Name) {
					t.Errorf("%s: --%s counts as given", name, f.Name)
				}
			}
		})
	}
	var d time.Duration
	flags := pflag.NewFlagSet("x", pflag.ContinueOnError)
	flags.DurationVar(&d, "d", time.Second, "")
	if why := set(flags.Lookup("d"), []string{"1s", "2s"}); why == "" {
		t.Error("two values for one flag were taken")
	}
}

// The file that docs/operating.md shows is one that is taken.
func TestConfig_Documented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "    # longrun.yaml:")
	block, _, more := strings.Cut(rest, "\n\n")
	if !ok || !more {
		t.Fatal("docs/operating.md shows no longrun.yaml")
	}
	c, err := parseConfig("longrun.yaml", []byte("#"+strings.ReplaceAll(block, "\n    ", "\n")))
	if err == nil {
		err = c.check()
	}
	if err != nil {
		t.Errorf("the file of docs/operating.md: %v", err)
	}
	if c == nil || c.find("serve", "retention") == nil || c.find("list", "server") == nil {
		t.Errorf("settings = %+v, want those of the file", c)
	}
}
