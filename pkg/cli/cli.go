// Package cli runs the command line of a service: both have the same manners.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"
)

// Streams are where a command writes. A command's Run method takes it as a parameter, and a context.Context.
type Streams struct{ Out, Err io.Writer }

// ErrFailed ends the program with status 1 without another word: the command has said what is wrong.
var ErrFailed = errors.New("failed")

// Run parses args into commands, a pointer to a struct with kong's tags, runs the command that they name, and returns the exit status: 0
// well, 1 failed, 2 wrong usage. Without arguments it shows the help.
func Run(ctx context.Context, name, description string, commands any, args []string, std Streams) int {
	left := -1
	parser, err := kong.New(commands,
		kong.Name(name),
		kong.Description(description),
		kong.Writers(std.Out, std.Err),
		kong.Exit(func(code int) { left = code }),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std),
	)
	if err != nil {
		fmt.Fprintf(std.Err, "%s: %v\n", name, err)
		return 2
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if left >= 0 {
		return left // --help has been printed
	}
	if err != nil {
		parser.FatalIfErrorf(err) // prints the usage and the error
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
