// Package causes accounts for the time of a lane: each moment has exactly one cause, so the shares of a window add to
// one.
//
// It is a core without a clock: whoever calls says what time it is. A Tracker costs 2 KB, and entering a cause costs no
// allocation and, within a quarter of a minute, one addition.
package causes
