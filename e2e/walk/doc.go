// Package walk mutates the conditions of the exactly-once path one at a time and shows which of them no test of the
// package notices.
//
// Every mutant of a package is compiled into one test binary: each condition is wrapped in a call that names it, and an
// environment variable says which one of them is wrong in this process. So a package is built once, and a mutant costs
// a run of the tests that reach its condition, which a first run of each test finds out.
//
// A condition is an operand of if, for, && and ||, a case of a switch without a tag, and any comparison. It is mutated
// to true, to false, and, where it is an ordering, by moving the boundary (< becomes <=).
package walk
