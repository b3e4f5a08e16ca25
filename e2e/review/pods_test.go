package review

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// podSpec is what the profile "restricted" of Kubernetes' Pod Security Standards and the CIS benchmark look at, as it
// was rendered; fields that are not here are not looked at.
type podSpec struct {
	HostNetwork, HostPID, HostIPC bool
	ServiceAccount                string `yaml:"serviceAccountName"`
	Token                         *bool  `yaml:"automountServiceAccountToken"`
	Security                      struct {
		NonRoot     bool                  `yaml:"runAsNonRoot"`
		User        int                   `yaml:"runAsUser"`
		AppArmor    any                   `yaml:"appArmorProfile"`
		SELinux     any                   `yaml:"seLinuxOptions"`
		Sysctls     []any                 `yaml:"sysctls"`
		HostProcess any                   `yaml:"windowsOptions"`
		Seccomp     struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	Containers     []container      `yaml:"containers"`
	InitContainers []container      `yaml:"initContainers"`
	Volumes        []map[string]any `yaml:"volumes"`
}

type container struct {
	Name     string
	Image    string
	Security struct {
		Privileged   bool                         `yaml:"privileged"`
		Escalation   *bool                        `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRoot bool                         `yaml:"readOnlyRootFilesystem"`
		ProcMount    string                       `yaml:"procMount"`
		NonRoot      *bool                        `yaml:"runAsNonRoot"`
		User         *int                         `yaml:"runAsUser"`
		Seccomp      any                          `yaml:"seccompProfile"`
		Capabilities struct{ Add, Drop []string } `yaml:"capabilities"`
	} `yaml:"securityContext"`
	Ports []struct {
		HostPort int `yaml:"hostPort"`
	} `yaml:"ports"`
	Resources struct {
		Requests, Limits map[string]string
	} `yaml:"resources"`
	Env []struct {
		Name string
		From map[string]any `yaml:"valueFrom"`
	} `yaml:"env"`
}

// object is one object of a rendered chart.
type object struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Token    *bool `yaml:"automountServiceAccountToken"`
	Spec     struct {
		Template struct{ Spec podSpec }
		Types    []string `yaml:"policyTypes"`
		Egress   []struct {
			To    []map[string]any `yaml:"to"`
			Ports []struct{ Port any }
		} `yaml:"egress"`
	}
}

// rendered are the objects of each worked values file, as make chart holds them to what the chart renders.
func rendered(t *testing.T) map[string][]object {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", "deploy", "helm", "golden", "*.yaml"))
	if err != nil || len(paths) < 3 {
		t.Fatalf("%q, %v", paths, err)
	}
	all := map[string][]object{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
			var o object
			err := d.Decode(&o)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			all[filepath.Base(path)] = append(all[filepath.Base(path)], o)
		}
	}
	return all
}

// pods calls f with the spec of each pod, and a name for messages.
func pods(t *testing.T, f func(name string, spec podSpec)) {
	t.Helper()
	for file, objects := range rendered(t) {
		n := 0
		for _, o := range objects {
			if o.Kind == "Deployment" {
				n++
				f(file+": "+o.Metadata.Name, o.Spec.Template.Spec)
			}
		}
		if n != 2 {
			t.Errorf("%s has %d deployments, want 2", file, n)
		}
	}
}

// Every pod that the chart makes keeps to each control of the profile "restricted", in the order of its table.
func TestPodsAreRestricted(t *testing.T) {
	// Those that the profile allows.
	volumes := []string{
		"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
	}
	pods(t, func(name string, p podSpec) {
		hold := func(ok bool, control string) {
			t.Helper()
			if !ok {
				t.Errorf("%s breaks %s", name, control)
			}
		}
		s := p.Security
		hold(s.HostProcess == nil, "HostProcess")
		hold(!p.HostNetwork && !p.HostPID && !p.HostIPC, "host namespaces")
		hold(s.AppArmor == nil, "AppArmor")
		hold(s.SELinux == nil, "SELinux")
		hold(len(s.Sysctls) == 0, "sysctls")
		hold(s.NonRoot && s.User > 0, "running as non-root")
		hold(s.Seccomp.Type == "RuntimeDefault", "seccomp")
		for _, v := range p.Volumes {
			for kind := range v {
				hold(kind == "name" || slices.Contains(volumes, kind), "volume types: "+kind)
			}
		}
		for _, c := range append(p.Containers, p.InitContainers...) {
			s := c.Security
			hold(!s.Privileged, "privileged containers")
			hold(len(s.Capabilities.Add) == 0 && slices.Contains(s.Capabilities.Drop, "ALL"), "capabilities")
			hold(s.ProcMount == "", "/proc mount type")
			hold(s.Escalation != nil && !*s.Escalation, "privilege escalation")
			hold(s.NonRoot == nil && s.User == nil && s.Seccomp == nil, "what the pod says, by saying it again")
			for _, port := range c.Ports {
				hold(port.HostPort == 0, "host ports")
			}
		}
	})
}

// What the CIS Kubernetes benchmark asks of workloads beyond that profile.
func TestPodsKeepToBenchmark(t *testing.T) {
	pods(t, func(name string, p podSpec) {
		if p.ServiceAccount == "" || p.ServiceAccount == "default" {
			t.Errorf("%s runs as the account %q", name, p.ServiceAccount)
		}
		if p.Token == nil || *p.Token {
			t.Errorf("%s mounts a token of its account", name)
		}
		for _, c := range p.Containers {
			if !c.Security.ReadOnlyRoot {
				t.Errorf("%s: the root of %s can be written to", name, c.Name)
			}
			if c.Resources.Limits["memory"] == "" || c.Resources.Requests["cpu"] == "" {
				t.Errorf("%s: %s has no limit of memory or no share of processors", name, c.Name)
			}
			for _, e := range c.Env {
				if e.From["secretKeyRef"] != nil {
					t.Errorf("%s: %s has a secret in its environment: %s", name, c.Name, e.Name)
				}
			}
		}
	})
	for file, objects := range rendered(t) {
		policies := 0
		for _, o := range objects {
			if o.Metadata.Namespace != "waybill" {
				t.Errorf("%s: %s %s is in namespace %q", file, o.Kind, o.Metadata.Name, o.Metadata.Namespace)
			}
			switch o.Kind {
			case "NetworkPolicy":
				policies++
				for i, rule := range o.Spec.Egress {
					if len(rule.Ports) == 0 {
						t.Errorf("%s: %s lets out to every port by rule %d", file, o.Metadata.Name, i)
					}
				}
				if !slices.Equal(o.Spec.Types, []string{"Ingress", "Egress"}) || len(o.Spec.Egress) < 3 {
					t.Errorf("%s: %s is of %q, with %d rules for what goes out", file, o.Metadata.Name, o.Spec.Types,
						len(o.Spec.Egress))
				}
			case "ServiceAccount":
				if o.Token == nil || *o.Token {
					t.Errorf("%s: account %s mounts its token", file, o.Metadata.Name)
				}
			case "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding":
				t.Errorf("%s: the chart asks for rights in the cluster: %s %s", file, o.Kind, o.Metadata.Name)
			}
		}
		if policies != 2 && file != "laptop.yaml" {
			t.Errorf("%s has %d network policies, want 2", file, policies)
		}
	}
}
