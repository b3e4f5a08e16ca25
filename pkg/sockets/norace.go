//go:build !race

package sockets

const race = false
