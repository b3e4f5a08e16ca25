// Package cli runs the command line of a program, so that all have the same manners.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// Streams are where a command writes. A command's Run method takes it as a parameter, and a context.Context.
type Streams struct{ Out, Err io.Writer }

// ErrFailed ends the program with status 1 without another message: the command has said what is wrong.
var ErrFailed = errors.New("failed")

// Main is Run for the process itself: its arguments, its streams, and a context that ends with SIGINT or SIGTERM.
func Main(name, description string, commands any) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return Run(ctx, name, description, commands, os.Args[1:], Streams{Out: os.Stdout, Err: os.Stderr})
}

// Run parses args into commands, a pointer to a struct with kong's tags, runs the command that they name, or the
// struct's own Run method, and returns the exit status: 0 well, 1 failed, 2 wrong usage. A program of several commands
// shows its help when it is given no arguments. more are what its commands need besides, bindings and variables say.
func Run(
	ctx context.Context, name, description string, commands any, args []string, std Streams, more ...kong.Option,
) int {
	left := -1
	options := append([]kong.Option{
		kong.Name(name),
		kong.Description(description),
		kong.Writers(std.Out, std.Err),
		kong.Exit(func(code int) { left = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std),
	}, more...)
	parser, err := kong.New(commands, options...)
	if err != nil {
		fmt.Fprintf(std.Err, "%s: %v\n", name, err)
		return 2
	}
	if len(args) == 0 && len(parser.Model.Children) > 0 && parser.Model.DefaultCmd == nil {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if left >= 0 {
		return left // --help has been printed
	}
	if err != nil {
		fmt.Fprintf(std.Err, "%s: %v (see \"%s --help\")\n", name, err, named(name, err))
		return 2
	}
	switch err := command.Run(); {
	case errors.Is(err, ErrFailed):
		return 1
	case err != nil:
		fmt.Fprintf(std.Err, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// JSON prints a value for machines and for people who look: indented, and characters as they are.
func JSON(out io.Writer, what any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(what)
}

// named is the command that a wrong command line has got to, as it is typed: its help has what was meant.
func named(name string, err error) string {
	wrong, ok := errors.AsType[*kong.ParseError](err)
	if !ok {
		return name
	}
	words := []string{name}
	for _, step := range wrong.Context.Path {
		if step.Command != nil {
			words = append(words, step.Command.Name)
		}
	}
	return strings.Join(words, " ")
}
