package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// envPrefix begins the name of every environment variable that stands for a flag.
const envPrefix = "LONGRUN_"

// configFlag names the flag that names the configuration file.
const configFlag = "config"

// settle gives the flags of cmd that were not given on the command line the values
// of the environment, and those that are not there either the values of the
// configuration file. The whole file is checked, whatever cmd is.
func (a *app) settle(cmd *cobra.Command) error {
	path, err := a.configPath(cmd)
	if err != nil {
		return err
	}
	var c config
	if path != "" {
		read, err := readConfig(path)
		if err != nil {
			return err
		}
		if err := read.check(); err != nil {
			return err
		}
		c = *read
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if err == nil && isSettable(f) && !f.Changed {
			err = a.settleFlag(cmd, f, &c)
		}
	})
	return err
}

// settleFlag gives one flag its value.
func (a *app) settleFlag(cmd *cobra.Command, f *pflag.Flag, c *config) error {
	for _, name := range envNames(cmd, f.Name) {
		text := a.env(name)
		if text == "" {
			continue
		}
		values := []string{text}
		if isRepeatable(f) {
			values = strings.Split(text, ",")
		}
		if why := set(f, values); why != "" {
			return usageProblem(fmt.Sprintf("%s=%q: %s", name, text, why), "it stands for --"+f.Name+"; see: longrun help environment")
		}
		return nil
	}
	if s := c.find(cmd.Name(), f.Name); s != nil {
		return c.apply(f, s)
	}
	return nil
}

// configPath is the file that the flag or the environment names, "" if neither does.
func (a *app) configPath(cmd *cobra.Command) (string, error) {
	f := cmd.Flags().Lookup(configFlag)
	if f == nil {
		return "", nil
	}
	if !f.Changed {
		return a.env(envPrefix + "CONFIG"), nil
	}
	if f.Value.String() == "" {
		return "", usageProblem("--config names no file", "name a YAML file, or leave it out")
	}
	return f.Value.String(), nil
}

// isSettable reports whether a flag can come from the environment and from a file.
// Help is for now, and the file is found before it is read.
func isSettable(f *pflag.Flag) bool { return f.Name != "help" && f.Name != configFlag }

// envNames are the variables that stand for a flag of cmd: the first that is not
// empty counts.
func envNames(cmd *cobra.Command, flag string) []string {
	return []string{envName(cmd.Name(), flag), envName(flag)}
}

func envName(words ...string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(strings.Join(words, "_"), "-", "_"))
}

func isRepeatable(f *pflag.Flag) bool {
	_, ok := f.Value.(pflag.SliceValue)
	return ok
}

// set gives a flag its values, and says what is wrong with them, "" if nothing is.
// The flag does not count as one that was given.
func set(f *pflag.Flag, values []string) string {
	if s, ok := f.Value.(pflag.SliceValue); ok {
		if err := s.Replace(values); err != nil {
			return err.Error()
		}
		return ""
	}
	if len(values) != 1 {
		return fmt.Sprintf("--%s takes one value", f.Name)
	}
	if o, ok := f.Value.(*once); ok {
		o.given = false // what it was given so far was no command line's
	}
	err := f.Value.Set(values[0])
	if err == nil {
		return ""
	}
	switch f.Value.Type() {
	case "bool":
		return "must be true or false"
	case "duration":
		return "must be a duration, such as 30s or 5m"
	case "int", "int32":
		return "must be a whole number"
	}
	return err.Error()
}

// find returns the setting of a flag: of the command's own section, else of the top
// of the file.
func (c *config) find(command, flag string) *setting {
	for _, section := range []string{command, ""} {
		for i, s := range c.settings {
			if s.command == section && s.flag == flag && flag != "" {
				return &c.settings[i]
			}
		}
	}
	return nil
}

func (c *config) apply(f *pflag.Flag, s *setting) error {
	if s.list && !isRepeatable(f) {
		return c.at(s.line, "it stands for --"+f.Name, "%s takes one value, not a list", f.Name)
	}
	if why := set(f, s.values); why != "" {
		return c.at(s.line, "it stands for --"+f.Name, "%s: %q: %s", f.Name, strings.Join(s.values, ","), why)
	}
	return nil
}

// check looks at every key and every value of a file, against commands of its own, so
// that a mistake is found whichever command is given.
func (c *config) check() error {
	commands := schema()
	for i := range c.settings {
		s := &c.settings[i]
		known := commands
		if s.command != "" {
			known = slices.DeleteFunc(slices.Clone(commands), func(cmd *cobra.Command) bool { return cmd.Name() != s.command })
			if len(known) == 0 {
				return c.at(s.line, configHint, "there is no command %q", s.command)
			}
		}
		if s.flag == "" {
			continue
		}
		found := false
		for _, cmd := range known {
			if f := cmd.Flags().Lookup(s.flag); f != nil && isSettable(f) {
				found = true
				if err := c.apply(f, s); err != nil {
					return err
				}
			}
		}
		if !found {
			return c.unknown(s, known)
		}
	}
	return nil
}

// unknown says that there is no such flag, and which was probably meant.
func (c *config) unknown(s *setting, known []*cobra.Command) error {
	hint := configHint
	for _, cmd := range known {
		if near := nearFlag(cmd, s.flag); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
			break
		}
	}
	if s.command == "" {
		return c.at(s.line, hint, "no command has a flag %q", s.flag)
	}
	return c.at(s.line, hint, "longrun %s has no flag %q", s.command, s.flag)
}

// schema returns the commands that do something, with flags that nobody has set.
func schema() []*cobra.Command {
	root := (&app{env: os.Getenv}).root(nil)
	return slices.DeleteFunc(root.Commands(), func(cmd *cobra.Command) bool { return !cmd.Runnable() })
}

// isCommand reports whether there is a command of that name.
func isCommand(name string) bool {
	return slices.ContainsFunc(schema(), func(cmd *cobra.Command) bool { return cmd.Name() == name })
}
