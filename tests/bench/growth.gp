# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# What a request costs as things grow, as times what it costs where there is one of them. Variables: data, whose rows are
# series, number, times, least, most, goal; names of the series in series; from tests/bench/page.

set datafile separator "\t"
set datafile missing "-"
set title title
set logscale x 2
set logscale y 2
set xlabel "how many"
set ylabel "cost, as times that of one"
set grid lc rgb "#dddddd" lt 1
set key outside right top width -4
set termoption noenhanced
set arrow from graph 0, first 1 to graph 1, first 1 nohead lc rgb "#888888" lw 2 back
set yrange [0.4 : 2.6]
set ytics ("0.5" 0.5, "0.7" 0.7, "0.9" 0.9, "1" 1, "1.1" 1.1, "1.3" 1.3, "1.6" 1.6, "2" 2, "2.4" 2.4)
plot for [i = 1 : words(series)] data using (stringcolumn(1) eq word(series, i) ? $2 : NaN):3:4:5 \
	with yerrorlines pt 7 ps 0.5 lt i title word(series, i)
