// Package mutant removes one protection of exactly-once at a time, so that the tests can show that they notice.
//
// Without the build tag `mutants` each name below is the constant false: the compiler leaves nothing of the branch
// behind it, and no environment variable can bring it back. With the tag, WAYBILL_MUTANT names the one protection that
// the process goes without; empty is none. Such a binary is for `make mutants` alone.
package mutant
