package cli

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// alone is a program of one command, several one of more.
type alone struct {
	Times int `default:"1"`
}

func (a *alone) Run(_ context.Context, std Streams) error {
	_, err := std.Out.Write([]byte(strings.Repeat("done ", a.Times)))
	return err
}

type several struct {
	Fail struct {
		Quietly failing `cmd:""`
	} `cmd:""`
}

type failing struct {
	Why string `default:""`
}

func (f failing) Run() error {
	if f.Why != "" {
		return errors.New(f.Why)
	}
	return ErrFailed
}

func TestRun(t *testing.T) {
	for name, tt := range map[string]struct {
		commands any
		args     string
		code     int
		out, err string
	}{
		"one command": {&alone{}, "", 0, "done ", ""},
		"with a flag": {&alone{}, "--times 2", 0, "done done ", ""},
		"wrong flag":  {&alone{}, "--wrong", 2, "", "p: unknown flag --wrong (see \"p --help\")\n"},
		"wrong value": {&alone{}, "--times=x", 2, "", "(see \"p --help\")\n"},
		"no command":  {&several{}, "", 0, "Usage: p <command>", ""},
		"wrong of a part": {
			&several{}, "fail quietly --wrong", 2, "", "p: unknown flag --wrong (see \"p fail quietly --help\")\n",
		},
		"has said it": {&several{}, "fail quietly", 1, "", ""},
		"says it":     {&several{}, "fail quietly --why=so", 1, "", "p: so\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs strings.Builder
			code := Run(t.Context(), "p", "A program.", tt.commands, strings.Fields(tt.args), Streams{&out, &errs})
			if code != tt.code || !strings.HasPrefix(out.String(), tt.out) ||
				!strings.HasSuffix(errs.String(), tt.err) ||
				tt.err == "" && errs.Len() > 0 {
				t.Errorf("exit status %d\n%s%s", code, &out, &errs)
			}
		})
	}
}
