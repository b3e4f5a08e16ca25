package logging

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A flood of the same is one line now and then, which says how many others there were.
func TestSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Seldom
		var said []int
		say := func(times int) {
			for range times {
				s.Say(func(others int) { said = append(said, others) })
			}
		}
		say(3)
		time.Sleep(9 * time.Second)
		say(1)
		time.Sleep(time.Second)
		say(2)
		time.Sleep(time.Minute)
		say(1)
		if !slices.Equal(said, []int{0, 3, 1}) {
			t.Errorf("said %v", said)
		}
	})
}
