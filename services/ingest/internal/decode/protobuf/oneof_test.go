package protobuf

import (
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Generators give oneofs at several levels one name, and members without fields one type; each is a column where its
// member stands, and proto3's optional fields are no oneofs.
func TestOneofsOfOneName(t *testing.T) {
	const text = `syntax = "proto3"; package example.event.v1;
message M {
  string event_id = 1;
  Target target = 2;
  message Target { oneof payload { string lightbulb_id = 1; string switch_id = 2; } }
  oneof payload { Automated automated = 10; Manual manual = 11; Sealed sealed = 12; }
  message Automated { oneof payload { Action action = 1; } }
  message Manual { oneof payload { Action action = 1; } }
  message Sealed { oneof sealed_value_optional { Nothing t1 = 1; Nothing t2 = 2; Nothing t3 = 3; } }
  message Nothing {}
  enum Action { ON = 0; OFF = 1; }
  optional int64 count = 20;
  optional Nothing mark = 21;
}`
	p, err := compiled(t, text, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		`{"eventId":"e","target":{"switchId":""},"automated":{"action":"ON"}}`: `{"event_id":"e",` +
			`"target":{"switch_id":""},"automated":{"action":"ON"}}`,
		`{"manual":{"action":"OFF"},"count":"0"}`: `{"event_id":"","manual":{"action":"OFF"},"count":"0"}`,
		`{"sealed":{"t2":{}},"mark":{}}`:          `{"event_id":"","sealed":{"t2":true},"mark":true}`,
		`{"sealed":{}}`:                           `{"event_id":"","sealed":{}}`,
	} {
		m := dynamicpb.NewMessage(parse(t, text).Messages().ByName("M"))
		if err := protojson.Unmarshal([]byte(in), m); err != nil {
			t.Fatal(err)
		}
		payload, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if got := shown(t, p, payload); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
