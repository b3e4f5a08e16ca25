package logging

import (
	"strings"
	"testing"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
)

// Printed lines are at debug level under the library's name, and those of interceptors at their own.
func TestLines(t *testing.T) {
	l := Lines{Library: "kafka"}
	l.Print("before there is a log")
	l.Log(t.Context(), logging.LevelError, "as well")

	var out strings.Builder
	l.To(New(&out, Config{Level: "debug"}))
	l.Print("closed ", 3)
	l.Printf("closed %d", 4)
	l.Println("closed", 5)
	l.Log(t.Context(), logging.LevelWarn, "finished call", "grpc.code", "Internal")
	for _, want := range []string{
		`level=DEBUG msg=kafka line="closed 3"`, `msg=kafka line="closed 4"`, `msg=kafka line="closed 5"`,
		`level=WARN msg="finished call" grpc.code=Internal`,
	} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("no line %s in %s", want, out.String())
		}
	}

	l.To(New(&out, Config{}))
	if allocated := testing.AllocsPerRun(100, func() { l.Println("quiet") }); allocated > 1 {
		t.Errorf("a line that is not written allocates %v times", allocated)
	}
	if strings.Contains(out.String(), "quiet") || strings.Contains(out.String(), "before") {
		t.Errorf("a line too many: %s", out.String())
	}
}
