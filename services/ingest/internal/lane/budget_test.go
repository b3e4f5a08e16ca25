package lane

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// add takes bytes that exist already, also beyond the size: whoever acquires next waits longer.
func (a *Account) add(bytes int64) {
	a.budget.mu.Lock()
	defer a.budget.mu.Unlock()
	a.take(bytes)
	a.budget.grant()
}

// How long lanes have waited is counted while one waits, whether it gets what it wants or gives up.
func TestTheBudgetCountsHowLongLanesWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(10)
		a := b.Account("orders")
		a.add(10)
		time.Sleep(time.Second)
		if waited := b.Waited(); waited != 0 {
			t.Errorf("%v, and nobody waits", waited)
		}
		done := make(chan error)
		go func() { done <- a.Acquire(t.Context(), 5) }()
		time.Sleep(time.Second)
		if waited := b.Waited(); waited != time.Second {
			t.Errorf("%v while one waits", waited)
		}
		time.Sleep(time.Second)
		a.Release(10)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := a.Acquire(ctx, 6); err == nil {
			t.Error("there was no room")
		}
		time.Sleep(time.Hour)
		if waited := b.Waited(); waited != 5*time.Second {
			t.Errorf("%v after two have waited", waited)
		}
	})
}

// Nobody has waited while there was room, to the last byte; the wait of several is that of the first of them.
func TestTheBudgetCountsFromTheFirstWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(10)
		a := b.Account("orders")
		if a.Try(11) || !a.Try(10) || a.Try(1) {
			t.Fatal("bounds")
		}
		a.Release(10)
		if waited := b.Waited(); waited != 0 {
			t.Errorf("%v, and nobody has waited", waited)
		}
		a.add(10)
		done := make(chan error, 2)
		for range 2 {
			go func() { done <- a.Acquire(t.Context(), 5) }()
			time.Sleep(time.Second)
		}
		if waited := b.Waited(); waited != 2*time.Second {
			t.Errorf("%v since the first one waits", waited)
		}
		a.Release(10)
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if waited := b.Waited(); waited != 2*time.Second {
			t.Errorf("%v when nobody waits any more", waited)
		}
	})
}

// While some are served and others wait on, the time goes on.
func TestTheBudgetCountsUntilTheLastIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(10)
		a := b.Account("orders")
		a.add(10)
		done := make(chan error, 2)
		for range 2 {
			go func() { done <- a.Acquire(t.Context(), 5) }()
		}
		for served := range 2 {
			time.Sleep(time.Second)
			if waited, want := b.Waited(), time.Duration(served+1)*time.Second; waited != want {
				t.Errorf("%v with %d of two served, want %v", waited, served, want)
			}
			a.Release(5)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		if waited := b.Waited(); waited != 2*time.Second {
			t.Errorf("%v when nobody waits any more", waited)
		}
	})
}
