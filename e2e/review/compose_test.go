package review

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// composeFile is what docker-compose.yml may hold: what is not here is an error, so that a key that is spelt wrong does
// not go unseen.
type composeFile struct {
	Services map[string]composeService `yaml:"services"`
	Volumes  map[string]any            `yaml:"volumes"`
}

type composeService struct {
	Image       string            `yaml:"image"`
	Profiles    []string          `yaml:"profiles"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Volumes     []string          `yaml:"volumes"`
	Ports       []string          `yaml:"ports"`
	DependsOn   yaml.Node         `yaml:"depends_on"`
	StopGrace   string            `yaml:"stop_grace_period"`
	Healthcheck struct {
		Test        []string `yaml:"test"`
		Interval    string   `yaml:"interval"`
		Timeout     string   `yaml:"timeout"`
		StartPeriod string   `yaml:"start_period"`
	} `yaml:"healthcheck"`
}

// dependencies are the services that a service waits for.
func (s composeService) dependencies(t *testing.T) (names []string) {
	t.Helper()
	if s.DependsOn.Kind == yaml.MappingNode {
		var with map[string]struct {
			Condition string `yaml:"condition"`
		}
		if err := s.DependsOn.Decode(&with); err != nil {
			t.Fatal(err)
		}
		for name, w := range with {
			if w.Condition != "service_healthy" {
				t.Errorf("condition %q of %s", w.Condition, name)
			}
			names = append(names, name)
		}
		return names
	}
	if s.DependsOn.Kind != 0 {
		if err := s.DependsOn.Decode(&names); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// strict reads YAML; an unknown key is an error.
func strict(t *testing.T, path string, to any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", path))
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(to); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// docker-compose.yml names files that are there, images of a fixed version, volumes and services that it has; its
// profiles are those that its head explains; and there can be any number of writers.
func TestComposeFile(t *testing.T) {
	var c composeFile
	strict(t, "docker-compose.yml", &c)
	head, err := os.ReadFile("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	ours := regexp.MustCompile(`^\$\{IMAGE:-waybill\}/(ingest|writer|sandbox):\$\{TAG:-latest\}$`)
	pinned := regexp.MustCompile(`^[a-z]+/[a-z]+:v?\d+\.\d+\.\d+$`)
	local := regexp.MustCompile(`^127\.0\.0\.1:(\d+):\d+$`)
	taken := map[string]string{}
	for name, s := range c.Services {
		if !ours.MatchString(s.Image) && !pinned.MatchString(s.Image) {
			t.Errorf("%s: image %q is of no fixed version", name, s.Image)
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if strings.HasPrefix(from, "./") {
				if _, err := os.Stat(filepath.Join("..", "..", from)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if !strings.HasSuffix(v, ":ro") {
					t.Errorf("%s may write to %s", name, from)
				}
			} else if _, ok := c.Volumes[from]; !ok {
				t.Errorf("%s: there is no volume %s", name, from)
			}
		}
		for _, p := range s.Ports {
			m := local.FindStringSubmatch(p)
			switch {
			case m == nil:
				t.Errorf("%s: port %s is not of loopback alone", name, p)
			case taken[m[1]] != "":
				t.Errorf("%s and %s have port %s", name, taken[m[1]], m[1])
			default:
				taken[m[1]] = name
			}
		}
		for _, d := range s.dependencies(t) {
			if _, ok := c.Services[d]; !ok {
				t.Errorf("%s waits for %s, which is not there", name, d)
			}
		}
		for _, p := range s.Profiles {
			if !strings.Contains(string(head), "--profile "+p+" ") {
				t.Errorf("the head of docker-compose.yml does not say what profile %s is for", p)
			}
		}
	}
	for _, service := range []string{"sandbox", "writer", "ingest"} {
		if s, ok := c.Services[service]; !ok || len(s.Profiles) > 0 {
			t.Errorf("%s does not start by itself", service)
		}
	}
	if ports := c.Services["writer"].Ports; len(ports) > 0 {
		t.Errorf("writer has ports %q: then there can be only one", ports)
	}
}

// The writers are found by the name of the service, by ingest as by Prometheus, at the ports that their file has.
func TestComposeFindsWriters(t *testing.T) {
	var ingest struct {
		Writer struct{ Target string }
		Admin  struct{ Listen string }
	}
	var writer struct{ GRPC, Admin struct{ Listen string } }
	for path, to := range map[string]any{"ingest.yaml": &ingest, "writer.yaml": &writer} {
		text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "compose", path))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, to); err != nil {
			t.Fatal(err)
		}
	}
	port := func(listen string) string { return listen[strings.LastIndex(listen, ":")+1:] }
	if want := "dns:///writer:" + port(writer.GRPC.Listen); ingest.Writer.Target != want {
		t.Errorf("ingest looks for writers at %s, want %s", ingest.Writer.Target, want)
	}
	var p struct {
		Global    map[string]string `yaml:"global"`
		RuleFiles []string          `yaml:"rule_files"`
		Scrape    []struct {
			Job string `yaml:"job_name"`
			DNS []struct {
				Names   []string `yaml:"names"`
				Type    string   `yaml:"type"`
				Port    string   `yaml:"port"`
				Refresh string   `yaml:"refresh_interval"`
			} `yaml:"dns_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	strict(t, "deploy/compose/prometheus.yaml", &p)
	got := map[string]string{}
	for _, s := range p.Scrape {
		got[s.Job] = s.DNS[0].Names[0] + ":" + s.DNS[0].Port
	}
	for job, listen := range map[string]string{"ingest": ingest.Admin.Listen, "writer": writer.Admin.Listen} {
		if want := job + ":" + port(listen); got[job] != want {
			t.Errorf("Prometheus looks for %s at %s, want %s", job, got[job], want)
		}
	}
}

// Both services send traces where the variable points that the head of docker-compose.yml names, which is a service of
// the profile; without it they make none.
func TestComposeTraces(t *testing.T) {
	var c composeFile
	strict(t, "docker-compose.yml", &c)
	to := regexp.MustCompile(`WAYBILL_TRACES=(\w+):4317 docker compose --profile (\w+) `).
		FindStringSubmatch(page(t, "docker-compose.yml"))
	if len(to) != 3 || !slices.Equal(c.Services[to[1]].Profiles, []string{to[2]}) {
		t.Fatalf("the head sends traces to %q", to)
	}
	for _, service := range []string{"ingest", "writer"} {
		env := c.Services[service].Environment
		if env["WAYBILL_TRACES"] != "${WAYBILL_TRACES:-}" ||
			env["WAYBILL_TRACES_INSECURE"] != "${WAYBILL_TRACES:+true}" {
			t.Errorf("%s has %q", service, env)
		}
		text := page(t, "deploy/compose/"+service+".yaml")
		for _, line := range []string{
			`endpoint: "${WAYBILL_TRACES:-}"`, "insecure: ${WAYBILL_TRACES_INSECURE:-false}",
		} {
			if !strings.Contains(text, line) {
				t.Errorf("deploy/compose/%s.yaml lacks %s", service, line)
			}
		}
	}
}

// Grafana gets its source and its dashboards from the files that the project has, at the places that they name.
func TestComposeProvisionsGrafana(t *testing.T) {
	var c composeFile
	strict(t, "docker-compose.yml", &c)
	var source struct {
		Version int `yaml:"apiVersion"`
		Sources []struct {
			Name, UID, Type, Access, URL string
			Default                      bool `yaml:"isDefault"`
		} `yaml:"datasources"`
	}
	strict(t, "deploy/compose/grafana-source.yaml", &source)
	if len(source.Sources) != 2 || source.Sources[0].URL != "http://prometheus:9090" || !source.Sources[0].Default ||
		source.Sources[1].URL != "http://jaeger:16686" || source.Sources[1].Default {
		t.Errorf("%+v", source)
	}
	var boards struct {
		Version   int `yaml:"apiVersion"`
		Providers []struct {
			Name, Folder, Type string
			Updates            bool              `yaml:"allowUiUpdates"`
			Options            map[string]string `yaml:"options"`
		} `yaml:"providers"`
	}
	strict(t, "deploy/compose/grafana-dashboards.yaml", &boards)
	if len(boards.Providers) != 1 {
		t.Fatalf("%+v", boards)
	}
	mounted := "./deploy/grafana:" + boards.Providers[0].Options["path"] + ":ro"
	if !slices.Contains(c.Services["grafana"].Volumes, mounted) {
		t.Errorf("grafana has %q, want %s", c.Services["grafana"].Volumes, mounted)
	}
	paths, err := filepath.Glob("../../deploy/grafana/*.json")
	if err != nil || len(paths) < 3 {
		t.Fatalf("%q, %v", paths, err)
	}
	uids := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var board struct{ UID, Title string }
		if err := json.Unmarshal(text, &board); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if board.UID == "" || uids[board.UID] != "" {
			t.Errorf("%s has uid %q, as %q", path, board.UID, uids[board.UID])
		}
		uids[board.UID] = path
	}
}
