package config

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

// service is a configuration with one of everything.
type service struct {
	Name    string            `yaml:"name"`
	Kafka   kafka             `yaml:"kafka"`
	TLS     *tls              `yaml:"tls"`
	Routes  []route           `yaml:"routes"`
	Labels  map[string]string `yaml:"labels"`
	Pools   map[string]route  `yaml:"pools"`
	Window  Bytes             `yaml:"window"`
	Linger  Duration          `yaml:"linger"`
	Share   float64           `yaml:"share"`
	Lanes   uint16            `yaml:"lanes"`
	Delta   int8              `yaml:"delta"`
	Verbose bool              `yaml:"verbose"`
	Common  common            `yaml:",inline"`
	Derived string            `yaml:"-"`
}

type kafka struct {
	Brokers  []string `yaml:"brokers"`
	Ports    []int    `yaml:"ports"`
	Password Secret   `yaml:"password"`
}

func (k *kafka) Check(report func(key, message, remedy string)) {
	if len(k.Brokers) == 0 {
		report("brokers", "is required", "name at least one broker")
	}
}

type tls struct {
	CA string `yaml:"ca"`
}

type route struct {
	Table string `yaml:"table"`
}

func (r route) Check(report func(key, message, remedy string)) {
	if r.Table == "" {
		report("table", "is required", "name a table")
	}
}

type common struct {
	LogLevel string `yaml:"log_level"`
}

func (c *common) Check(report func(key, message, remedy string)) {
	if c.LogLevel == "loud" {
		report("log_level", "no such level", "write info")
	}
}

// loadText loads text over defaults, with these variables set.
func loadText(t testing.TB, text string, variables map[string]string) (service, error) {
	t.Helper()
	s := service{Name: "default", Window: 1 << 20, Kafka: kafka{Brokers: []string{"default:9092"}}}
	err := load("dir/service.yaml", []byte(text), func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}, &s)
	return s, err
}

func TestLoad(t *testing.T) {
	got, err := loadText(t, `
name: ${NAME}
kafka:
  brokers: [a:1, "b:2"]
  ports: ${PORTS}
  password: ${PASSWORD:?ask the platform team}
tls: {ca: /etc/ca.pem}
routes:
  - table: orders
  - &stock {table: "${STOCK:-stock}"}
labels: {team: data, "quoted": "$${NAME} and $5"}
pools:
  one: *stock
window:
linger: 250ms
share: 0.5
lanes: 0x10
delta: -3
verbose: true
log_level: info
`, map[string]string{"NAME": "12", "PORTS": "1, 2,3", "PASSWORD": "pa$${s", "STOCK": ""})
	if err != nil {
		t.Fatal(err)
	}
	want := service{
		Name:    "12",
		Kafka:   kafka{Brokers: []string{"a:1", "b:2"}, Ports: []int{1, 2, 3}, Password: NewSecret("pa$${s")},
		TLS:     &tls{CA: "/etc/ca.pem"},
		Routes:  []route{{"orders"}, {"stock"}},
		Labels:  map[string]string{"team": "data", "quoted": "${NAME} and $5"},
		Pools:   map[string]route{"one": {"stock"}},
		Window:  1 << 20,
		Linger:  Duration(250 * time.Millisecond),
		Share:   0.5,
		Lanes:   16,
		Delta:   -3,
		Verbose: true,
		Common:  common{LogLevel: "info"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// One problem a line, in the order of the file: every one is found in one go, each says where it is and what to do.
func TestAllProblemsAtOnce(t *testing.T) {
	_, err := loadText(t, `naem: x
kafka:
  brokers: []
  ports: [1, two, 3]
  pasword: x
  password: ${UNSET}
tls: yes
routes:
  - table:
  - {tabel: x, table: y}
  - just text
labels: {a: [1]}
pools: {b: {}}
window: 64 parsecs
linger: 10
share: .nan
lanes: 70000
delta: 128
verbose: yes
log_level: loud
name: ${X:?say who you are}
name: ${not a name}
Derived: x
linger: 1s
`, nil)
	want := `22 problems in the configuration
dir/service.yaml:1: naem: unknown key
    did you mean name?
dir/service.yaml:3: kafka.brokers: is required
    name at least one broker
dir/service.yaml:4: kafka.ports[1]: "two" is not a whole number of 64 bits
    write a whole number
dir/service.yaml:5: kafka.pasword: unknown key
    did you mean password?
dir/service.yaml:6: kafka.password: variable UNSET is not set
    set UNSET in the environment, or write ${UNSET:-default}
dir/service.yaml:7: tls: is a plain value, not a group of keys
    write ` + "`key: value`" + ` lines below it, indented
dir/service.yaml:9: routes[0].table: is required
    name a table
dir/service.yaml:10: routes[1].tabel: unknown key
    did you mean table?
dir/service.yaml:11: routes[2]: is a plain value, not a group of keys
    write ` + "`key: value`" + ` lines below it, indented
dir/service.yaml:12: labels.a: is a list, not a plain value
    write one value behind the colon
dir/service.yaml:13: pools.b.table: is required
    name a table
dir/service.yaml:14: window: "64 parsecs" is not an amount of bytes
    write a number and its unit, such as 512KiB, 64MiB or 9MB
dir/service.yaml:15: linger: "10" is not a duration
    write a number and its unit, such as 250ms, 10s or 1h30m
dir/service.yaml:16: share: ".nan" is not a number
    write a number, such as 0.5
dir/service.yaml:17: lanes: "70000" is not a whole number from 0 of 16 bits
    write a whole number, not below 0
dir/service.yaml:18: delta: "128" is not a whole number of 8 bits
    write a whole number
dir/service.yaml:19: verbose: "yes" is neither true nor false
    write true or false
dir/service.yaml:20: log_level: no such level
    write info
dir/service.yaml:21: name: variable X is not set: say who you are
    set X in the environment
dir/service.yaml:22: name: stands twice, first in line 21
    remove one of them
dir/service.yaml:23: Derived: unknown key
    known keys here: delta, kafka, labels, lanes, linger, log_level, name, pools, routes, share, tls, verbose, window
dir/service.yaml:24: linger: stands twice, first in line 15
    remove one of them`
	if err == nil {
		t.Fatal("no problem found")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What a Check finds missing stands nowhere: its line is that of the group around it, and the file without any comes
// last.
func TestLinesOfWhatIsMissing(t *testing.T) {
	var s struct {
		Kafka kafka `yaml:"kafka"`
		Other kafka `yaml:"other"`
		Name  string
	}
	err := load("f", []byte("\n\nother:\n  password: x\nunknown: 1\n"), os.LookupEnv, &s)
	want := Problems{
		{Key: "other.brokers", File: "f", Line: 3, Message: "is required", Remedy: "name at least one broker"},
		{Key: "unknown", File: "f", Line: 5, Message: "unknown key", Remedy: "known keys here: kafka, name, other"},
		{Key: "kafka.brokers", File: "f", Message: "is required", Remedy: "name at least one broker"},
	}
	if diff := cmp.Diff(error(want), err); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestVariables(t *testing.T) {
	variables := map[string]string{"SET": "value", "EMPTY": "", "_a1": "x}y"}
	for text, want := range map[string]string{
		"${SET}":               "value",
		"a ${SET} b ${SET}c":   "a value b valuec",
		"${EMPTY}":             "",
		"${EMPTY:-other}":      "other",
		"${SET:-other}":        "value",
		"${UNSET:-}":           "",
		"${UNSET:-a:-b ${c}":   "a:-b ${c",
		"${_a1}":               "x}y",
		"$${SET}":              "${SET}",
		"$$ $SET $":            "$$ $SET $",
		"${SET:?why}":          "value",
		"'${SET}'":             "value",
		"\"${EMPTY:-#\\tno}\"": "#\tno",
	} {
		if got, err := loadText(t, "name: "+text, variables); err != nil || got.Name != want {
			t.Errorf("%s: %q, %v; want %q", text, got.Name, err, want)
		}
	}
	for text, want := range map[string]string{
		"${UNSET}":      "variable UNSET is not set",
		"${EMPTY:?why}": "variable EMPTY is not set: why",
		"${UNSET:?}":    "variable UNSET is not set: it is required",
		"${SET":         "${ without }",
		"${}":           `"" is not the name of a variable`,
		"${1a}":         `"1a" is not the name`,
		"${SET:+x}":     "${SET:+x} has an operator that is not known",
		"${A}${B}":      "variable A is not set",
	} {
		if _, err := loadText(t, "name: "+text, variables); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	_, err := loadText(t, "name: ${A}${B}", variables)
	if problems, _ := errors.AsType[Problems](err); len(problems) != 2 {
		t.Errorf("two variables are not set: %v", err)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("password", "hunter2\r\n")
	t.Setenv("CONFIG_TEST_NAME", "from the environment")
	var s service
	path := write("good.yaml", "name: ${CONFIG_TEST_NAME}\nkafka: {brokers: x, password: 'file:password'}\n")
	if err := Load(path, &s); err != nil {
		t.Fatal(err)
	}
	if s.Kafka.Password.Reveal() != "hunter2" || s.Name != "from the environment" {
		t.Errorf("password %q, name %q", s.Kafka.Password.Reveal(), s.Name)
	}

	for name, want := range map[string]string{
		filepath.Join(dir, "none.yaml"): "there is no such file",

		write("key.yaml", "kafka: {brokers: x, password: file:/no}"): "key.yaml:1: kafka.password: open /no: no " +
			"such file",

		write("syntax.yaml", "name: x\nkafka: [\n"):                "syntax.yaml:2: did not find expected node content",
		write("two.yaml", "kafka: {brokers: x}\n---\nname: y\n"):   "two.yaml:2: a second document begins",
		write("list.yaml", "- name: x\n"):                          "list.yaml:1: is a list, not a group of keys",
		write("empty.yaml", "# nothing\n"):                         "kafka.brokers: is required",
		write("large.yaml", "name: "+strings.Repeat("x", maxFile)): "a configuration at most 4194304",

		write("laughs.yaml", "labels: &a [&b "+strings.Repeat("x,", maxNodes)+" 1]"): "is a list, not a group of keys",
	} {
		s := service{}
		if err := Load(name, &s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %.300v, want %q", filepath.Base(name), err, want)
		}
	}
}

// yamlBreaks is what ends a line for the YAML library.
var yamlBreaks = regexp.MustCompile("[\n\r\u0085\u2028\u2029]")

// asUTF8 is a text as the YAML library reads it: a byte order mark may say that it is UTF-16.
func asUTF8(text string) string {
	var order binary.ByteOrder
	switch {
	case strings.HasPrefix(text, "\xff\xfe"):
		order = binary.LittleEndian
	case strings.HasPrefix(text, "\xfe\xff"):
		order = binary.BigEndian
	default:
		return text
	}
	var units []uint16
	for i := 2; i+2 <= len(text); i += 2 {
		units = append(units, order.Uint16([]byte(text[i:i+2])))
	}
	return string(utf16.Decode(units))
}

func FuzzLoad(f *testing.F) {
	f.Add("name: ${X:-y}\nkafka: {brokers: [a, b], ports: '1,2', password: x}\nroutes: [{table: t}]\n")
	f.Add("labels: {a: &x b, c: *x}\nwindow: 9MiB\nlinger: 1s\nshare: 1e3\n")
	f.Add("a: &a [*a, *a]\n? [x]\n: y\n<<: *a\n--- z")
	f.Add("name: ${\nverbose: !!bool yes\ntls: ~\nlanes: 0b1_1\n")
	f.Add("\xff\xfe( ( 00") // UTF-16: a line separator, then text
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "file:") {
			return // reads what the fuzzer happens to name
		}
		_, err := loadText(t, text, map[string]string{"X": "x"})
		if err == nil {
			return
		}
		problems, ok := errors.AsType[Problems](err)
		if !ok || len(problems) == 0 {
			t.Fatalf("the error is %T with %v", err, err)
		}
		for _, p := range problems {
			if p.Message == "" || p.Remedy == "" || p.File == "" {
				t.Errorf("problem without message, remedy or file: %+v", p)
			}
			if lines := len(yamlBreaks.FindAllString(asUTF8(text), -1)) + 2; p.Line < 0 || p.Line > lines {
				t.Errorf("line %d of a file of %d", p.Line, lines)
			}
		}
	})
}

// Who needs some sections alone learns of what is wrong with those and with the file, and of nothing else.
func TestLoadParts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "service.yaml")
	for text, want := range map[string][]string{
		"kafka: {brokers: [a]}\nroutes: [{}]\nlanes: many\nwhat: ever\n": nil,
		"kafka: {brokres: [a]}\nroutes: [{}]\n":                          {"kafka.brokres", "kafka.brokers"},
		"kafka: []\nlanes: many\n":                                       {"kafka"},
		"kafkas: {}\n":                                                   {"kafka.brokers"},
		"kafka: {brokers: [a]\n":                                         {""},
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var s service
		err := LoadParts(path, &s, "kafka", "tls")
		problems, _ := errors.AsType[Problems](err)
		var got []string
		for _, p := range problems {
			got = append(got, p.Key)
		}
		if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 && err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
		}
	}
	if err := LoadParts(filepath.Join(t.TempDir(), "none.yaml"), new(service), "kafka"); err == nil {
		t.Error("a file that is not there has been read")
	}
}
