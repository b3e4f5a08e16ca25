// Package e2e proves Waybill as a whole: real processes of sandbox, writer and ingest on loopback, killed, paused and
// stopped, and every offset compared at the end. The tests are beside this file; stack runs the processes.
package e2e
