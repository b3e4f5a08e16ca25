package access

import (
	"slices"
	"strings"
)

// rule says which right the methods or pages with a prefix need. One with a name can be left open by it: access.open.
type rule struct {
	prefix string
	// any is one of the rights that do; nobody needs more than one of them.
	any  []Right
	name string
}

// methods are the gRPC services and methods, the most special first. What is not listed needs Operator, so that a new
// method is closed until somebody has thought about it.
var methods = []rule{
	{prefix: "/lane.v1.LaneService/", any: []Right{Lane}},
	{prefix: "/lane.v1.TableService/", any: []Right{Lane, Operator}},
	{prefix: "/xds.service.orca.v3.OpenRcaService/", any: []Right{Lane, Viewer}},
	{prefix: "/grpc.health.v1.Health/", any: []Right{Lane, Viewer}, name: "health"},
	{prefix: "/grpc.reflection.", any: []Right{Viewer}, name: "reflection"},
	{prefix: "/admin.v1.AdminService/List", any: []Right{Viewer}},
	{prefix: "/admin.v1.AdminService/Get", any: []Right{Viewer}},
	{prefix: "/admin.v1.SteeringService/List", any: []Right{Viewer}},
	{prefix: "/admin.v1.SteeringService/", any: []Right{Operator}},
	{prefix: "/admin.v1.RecordService/Explain", any: []Right{Viewer}},
	{prefix: "/admin.v1.RecordService/Tap", any: []Right{Payload}},
	{prefix: "/admin.v1.RecordService/Preview", any: []Right{Payload}},
}

// pages are the paths of the admin port. What is not listed needs Operator here too.
var pages = []rule{
	{prefix: "/healthz", any: []Right{Lane, Viewer}, name: "health"},
	{prefix: "/readyz", any: []Right{Lane, Viewer}, name: "health"},
	{prefix: "/metrics", any: []Right{Viewer}, name: "metrics"},
	{prefix: "/lanes", any: []Right{Viewer}},
	{prefix: "/plan", any: []Right{Viewer}},
	{prefix: "/contracts", any: []Right{Viewer}},
	{prefix: "/events", any: []Right{Viewer}},
	{prefix: "/explain", any: []Right{Viewer}},
	{prefix: "/fleet", any: []Right{Viewer}},
	{prefix: "/lane", any: []Right{Viewer}},
	{prefix: "/letters", any: []Right{Viewer}},
	{prefix: "/replays", any: []Right{Viewer}},
	{prefix: "/table", any: []Right{Viewer}},
	{prefix: "/live", any: []Right{Viewer}},
	{prefix: "/page.css", any: []Right{Viewer}},
	{prefix: "/page.js", any: []Right{Viewer}},
	{prefix: "/tap", any: []Right{Payload}},
	{prefix: "/preview", any: []Right{Payload}},
	{prefix: "/act", any: []Right{Operator}},
	{prefix: "/debug/", any: []Right{Operator}},
}

// openNames are what access.open may name.
var openNames = []string{"health", "reflection", "metrics"}

// needed is the rule for a method or a path.
func needed(rules []rule, name string) rule {
	for _, r := range rules {
		if strings.HasPrefix(name, r.prefix) {
			return r
		}
	}
	if name == "/" {
		return rule{any: []Right{Viewer}}
	}
	return rule{any: []Right{Operator}}
}

// admits tells whether the caller has one of the rights.
func (r rule) admits(c Caller) bool {
	return slices.ContainsFunc(r.any, c.May)
}
