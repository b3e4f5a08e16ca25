package rest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

// maxPage bounds a page of rows, in bytes of its JSON, as the API does.
const maxPage = 10 << 20

// insertAll streams JSON rows into the table's _default stream. insertId is taken and not acted on: the real service's
// deduplication is best effort.
func (a *api) insertAll(r *http.Request) (any, error) {
	t, err := a.table(r)
	if err != nil {
		return nil, err
	}
	var in struct {
		Rows []struct {
			JSON map[string]any `json:"json"`
		} `json:"rows"`
		SkipInvalidRows     bool   `json:"skipInvalidRows"`
		IgnoreUnknownValues bool   `json:"ignoreUnknownValues"`
		TemplateSuffix      string `json:"templateSuffix"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if len(in.Rows) == 0 {
		return nil, badRequest("No rows present in the request.")
	}
	if in.TemplateSuffix != "" {
		return nil, badRequest("The sandbox has no template tables")
	}
	rows, err := a.newEncoder(r.Context(), t)
	if err != nil {
		return nil, err
	}
	rows.ignore = in.IgnoreUnknownValues
	out := &bq.TableDataInsertAllResponse{Kind: "bigquery#tableDataInsertAllResponse"}
	var block []byte
	count := 0
	for i, one := range in.Rows {
		b, err := rows.encode(one.JSON)
		if err != nil {
			out.InsertErrors = append(out.InsertErrors, rowError(i, "invalid", err))
			continue
		}
		block = protowire.AppendBytes(append(block, 0x0a), b)
		count++
	}
	if len(out.InsertErrors) > 0 && !in.SkipInvalidRows {
		stopped(out, len(in.Rows))
		return out, nil
	}
	if count == 0 {
		return out, nil
	}
	st, err := t.Default()
	if err != nil {
		return nil, err
	}
	_, err = st.Append(store.Append{
		Offset: -1, Descriptor: rows.descriptor, Rows: count, Bytes: block,
		Size: len(block),
	})
	return out, err
}

// stopped marks the good rows of a refused request: none is written.
func stopped(out *bq.TableDataInsertAllResponse, rows int) {
	bad := map[int]bool{}
	for _, e := range out.InsertErrors {
		bad[int(e.Index)] = true
	}
	for i := range rows {
		if !bad[i] {
			out.InsertErrors = append(out.InsertErrors, rowError(i, "stopped", nil))
		}
	}
	slices.SortFunc(out.InsertErrors, func(a, b *bq.TableDataInsertAllResponseInsertErrors) int {
		return int(a.Index - b.Index)
	})
}

func rowError(i int, reason string, err error) *bq.TableDataInsertAllResponseInsertErrors {
	e := &bq.ErrorProto{Reason: reason}
	if err != nil {
		e.Message = err.Error()
		if f, ok := errors.AsType[*row.FieldError](err); ok {
			e.Location, e.Message = f.Path, f.Message
		}
	}
	return &bq.TableDataInsertAllResponseInsertErrors{
		Index: int64(i), Errors: []*bq.ErrorProto{e}, ForceSendFields: []string{"Index"},
	}
}

// page is which rows a client asks for.
type page struct {
	start  int64
	most   int64 // -1: as many as fit
	micros bool
}

func pageOf(r *http.Request) (p page, err error) {
	if p.start, err = number(r, "startIndex", 0); err != nil {
		return p, err
	}
	if token := r.FormValue("pageToken"); token != "" {
		b, err := base64.RawURLEncoding.DecodeString(token)
		if err == nil {
			p.start, err = strconv.ParseInt(strings.TrimPrefix(string(b), "row "), 10, 64)
		}
		if err != nil || p.start < 0 {
			return p, badRequest("Invalid pageToken: " + token)
		}
	}
	p.most = -1
	if r.FormValue("maxResults") != "" {
		p.most, err = number(r, "maxResults", 0)
	}
	p.micros, _ = strconv.ParseBool(r.FormValue("formatOptions.useInt64Timestamp"))
	return p, err
}

func pageToken(next int64) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "row %d", next))
}

// fill gathers the JSON of a page's rows from next, which gives no record at the end. more says that rows are left.
func (p page) fill(columns []*row.Column,
	next func() (row.Record, error),
) (rows []byte, count int64, more bool, err error) {
	rows = append(rows, '[')
	for {
		r, err := next()
		if err != nil || r == nil {
			return append(rows, ']'), count, false, err
		}
		if p.most >= 0 && count >= p.most || len(rows) > maxPage {
			return append(rows, ']'), count, true, nil
		}
		if count > 0 {
			rows = append(rows, ',')
		}
		rows = row.AppendCells(rows, columns, r, p.micros)
		count++
	}
}

func (a *api) listRows(r *http.Request) (any, error) {
	p, err := pageOf(r)
	if err != nil {
		return nil, err
	}
	if table, summary := strings.CutSuffix(r.PathValue("table"), partitionsSummary); summary {
		return a.listPartitions(r, table, p)
	}
	t, err := a.table(r)
	if err != nil {
		return nil, err
	}
	if err := t.Writable(); err != nil {
		return nil, badRequest("Cannot list a table of type " + t.Definition().Type + ".")
	}
	total, _ := t.RowCount()
	scan := t.Scan()
	defer scan.Close()
	scan.Skip(p.start)
	return p.list(r, scan.Columns(), total, func() (row.Record, error) {
		if !scan.Next() {
			return nil, scan.Err()
		}
		return scan.Shape().Decode(scan.Row())
	})
}

// list serves tabledata.list with the rows that next gives.
func (p page) list(r *http.Request, columns []*row.Column, total int64, next func() (row.Record, error)) (any, error) {
	chosen, err := choose(columns, r.URL.Query()["selectedFields"])
	if err != nil {
		return nil, err
	}
	rows, count, more, err := p.fill(chosen.columns, func() (row.Record, error) {
		record, err := next()
		return chosen.of(record), err
	})
	if err != nil {
		return nil, err
	}
	out := fmt.Appendf(nil, `{"kind":"bigquery#tableDataList","totalRows":"%d"`, total)
	if more {
		out = fmt.Appendf(out, `,"pageToken":%q`, pageToken(p.start+count))
	}
	out = append(append(out, `,"rows":`...), rows...)
	return raw(append(out, '}')), nil
}
