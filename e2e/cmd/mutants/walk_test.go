package main

import (
	"testing"

	"github.com/waybill-data/waybill/e2e/walk"
)

// Each entry of the list of equivalent mutants names one: code that changed has its entries looked at again.
func TestEquivalentMutantsAreThere(t *testing.T) {
	stale, err := walk.Stale(t.Context(), walked)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range stale {
		t.Errorf("e2e/walk/equivalents.txt lists a mutant that is not there any more: %s", key)
	}
}

// With the packages of one service alone, the entries of the other are stale: the list is looked through.
func TestEquivalentMutantsOfOthersAreMissed(t *testing.T) {
	stale, err := walk.Stale(t.Context(), walked[:3])
	if err != nil || len(stale) == 0 {
		t.Errorf("%v, %v", stale, err)
	}
}
