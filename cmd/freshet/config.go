package main

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/pelletier/go-toml/v2"
)

// A configFile gives flags the values of the TOML file that --config names.
// Keys are the names of flags; a key that no command has is an error, since a
// misspelt one would otherwise be lost in silence.
type configFile struct {
	read   bool
	values map[string]any
}

// Validate has nothing to check before the file's name is known.
func (c *configFile) Validate(*kong.Application) error { return nil }

// Resolve returns the file's value of flag, or nil if there is none or the
// environment has one.
func (c *configFile) Resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if !c.read {
		c.read = true
		if err := c.load(ctx); err != nil {
			return nil, err
		}
	}
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	return c.values[flag.Name], nil
}

func (c *configFile) load(ctx *kong.Context) error {
	var path string
	for _, flag := range ctx.Model.Flags {
		if flag.Name == "config" {
			path, _ = ctx.FlagValue(flag).(string)
		}
	}
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := toml.Unmarshal(text, &c.values); err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			row, column := at.Position()
			return fmt.Errorf("%s:%d:%d: %w", path, row, column, err)
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	known := map[string]bool{}
	flagNames(ctx.Model.Node, known)
	var unknown []string
	for key := range c.values {
		if !known[key] {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 {
		sort.Strings(unknown)
		return fmt.Errorf("%s: no flag is called %s", path, strings.Join(unknown, ", "))
	}
	return nil
}

// flagNames gathers the names of all flags of node and its subcommands that a
// file may set.
func flagNames(node *kong.Node, into map[string]bool) {
	for _, flag := range node.Flags {
		if flag.Name != "config" && flag.Name != "help" {
			into[flag.Name] = true
		}
	}
	for _, child := range node.Children {
		flagNames(child, into)
	}
}
