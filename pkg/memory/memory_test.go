package memory

import (
	"testing"
	"testing/fstest"
)

func TestLimit(t *testing.T) {
	const mib = 1 << 20
	for name, test := range map[string]struct {
		files map[string]string
		want  int64 // 0: none
	}{
		"no control groups": {nil, 0},
		"version 2, in a container": {map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "268435456\n",
		}, 256 * mib},
		"version 2, no limit": {
			map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"},
			0,
		},
		"version 2, the group around is smaller": {map[string]string{
			"proc/self/cgroup": "0::/pods/pod1/ingest\n", "sys/fs/cgroup/pods/pod1/ingest/memory.max": "max",
			"sys/fs/cgroup/pods/pod1/memory.max": "134217728",
			"sys/fs/cgroup/pods/memory.max":      "1073741824",
		}, 128 * mib},
		"version 2, the path is the host's": {map[string]string{
			"proc/self/cgroup": "0::/kubepods/burstable/abc\n", "sys/fs/cgroup/memory.max": "536870912",
		}, 512 * mib},
		"version 1": {map[string]string{
			"proc/self/cgroup": "12:cpu,cpuacct:/a\n5:memory:/docker/abc\n1:name=systemd:/b\n",
			"sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "104857600\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":            "9223372036854771712\n",
		}, 100 * mib},
		"version 1, no limit": {map[string]string{
			"proc/self/cgroup": "5:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 0},
		"both, memory in version 1": {map[string]string{
			"proc/self/cgroup": "5:hugetlb,memory:/a\n0::/a\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "209715200",
		}, 200 * mib},
		"a path out of the root": {
			map[string]string{"proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/memory.max": "67108864"}, 64 * mib,
		},
		"nonsense": {
			map[string]string{"proc/self/cgroup": "a\n0::\n::::\n", "sys/fs/cgroup/memory.max": "-5"}, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := fstest.MapFS{}
			for file, text := range test.files {
				root[file] = &fstest.MapFile{Data: []byte(text)}
			}
			if got, ok := limit(root); ok != (test.want != 0) || ok && got != test.want {
				t.Errorf("limit() = %d, %t; want %d", got, ok, test.want)
			}
		})
	}
}

func TestWhatFollowsFromALimit(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct{ limit, given, budget, soft int64 }{
		{limit: 0, budget: 64 * mib, soft: 192 * mib},
		{limit: 256 * mib, budget: 64 * mib, soft: 192 * mib},
		{limit: 1024 * mib, budget: 256 * mib, soft: 576 * mib},
		{limit: 64 * mib, budget: 32 * mib, soft: 56 * mib},
		{limit: 64 << 30, budget: 512 * mib, soft: 1088 * mib},
		{limit: 256 * mib, given: 200 * mib, soft: 224 * mib},
		{limit: 0, given: 200 * mib, soft: 464 * mib},
	} {
		own := func() (int64, bool) { return test.limit, test.limit != 0 }
		got := test.given
		if got == 0 {
			if got = budget(own()); got != test.budget {
				t.Errorf("limit %d: budget %d, want %d", test.limit, got, test.budget)
			}
		}
		if s := soft(got, 0, own); s != test.soft {
			t.Errorf("limit %d, budget %d: soft limit %d, want %d", test.limit, got, s, test.soft)
		}
	}
}

func TestTooMuch(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		budget, limit, need int64
		tooMuch             bool
	}{
		{96 * mib, 256 * mib, 256 * mib, false},
		{97 * mib, 256 * mib, 258 * mib, true},
		{1 << 40, 0, 2<<40 + 64*mib, false}, // no limit
		{1 << 62, 256 * mib, 1<<62 + 64*mib - 2, true},
	} {
		need, limit, tooMuch := tooMuch(c.budget, 0, func() (int64, bool) { return c.limit, c.limit > 0 })
		if need != c.need || limit != c.limit || tooMuch != c.tooMuch {
			t.Errorf("%d of %d: needs %d, %v", c.budget, limit, need, tooMuch)
		}
	}
}
