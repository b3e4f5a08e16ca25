// Package assignment decides which member of a group carries which partitions, by the bytes a second that they bring.
// It is the pure core of `kafka.assignment: load`: rates, capacities and who has what in; who should have what out. It
// knows neither Kafka nor time.
//
//	plan.go    who should carry what: keep it, or pack it anew
//	pack.go    modified worst fit: as few members as needed, moving little
//	relieve.go members that have too much give away no more than that
//	report.go  what a member tells the leader, as bytes
//
// # What it is after
//
// First that no member has more than it can carry, then that few members carry the load, so that the others can be
// taken away, and then that few bytes a second move: what moves waits for two rebalances, and its lane is opened anew.
//
// A plan keeps what there is unless the gain is larger than the price. Somebody is overloaded (above Limit of its
// capacity), and there is a plan with less of that: who has too much gives that away, or, where this does not do, all
// is packed anew. Or a packed plan that fills members to Spare needs at least one member less, and moves at most Price
// of a member's capacity for each. Between Spare and Limit lies a factor of 1.5, so rates that go up and down by a
// fifth move nothing to and fro.
package assignment
