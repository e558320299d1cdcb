" SPDX-License-Identifier: Apache-2.0
" Qubes RPC policy: SERVICE ARGUMENT SOURCE TARGET ACTION [PARAM ...]
if exists('b:current_syntax')
  finish
endif

syntax match qubesPolicyComment   /^\s*#.*$/
syntax match qubesPolicyDirective /^\s*!\%(include\|include-dir\|include-service\|compat-4\.0\)\>.*$/
syntax match qubesPolicyService   /^\s*[^#! \t]\S*/ nextgroup=qubesPolicyArgument skipwhite
syntax match qubesPolicyArgument  /\%(\*\|+\S*\)\ze\s/ contained nextgroup=qubesPolicySource skipwhite
syntax match qubesPolicySource    /\S\+/ contained contains=qubesPolicyKeyword nextgroup=qubesPolicyTarget skipwhite
syntax match qubesPolicyTarget    /\S\+/ contained contains=qubesPolicyKeyword nextgroup=qubesPolicyAllow,qubesPolicyAsk,qubesPolicyDeny,qubesPolicyError skipwhite
syntax match qubesPolicyKeyword   /@\%(adminvm\|anyvm\|default\|dispvm\|tag\|type\)\%(:@tag\)\?\|\*/ contained
syntax match qubesPolicyError     /\S\+/ contained
syntax match qubesPolicyAllow     /\<allow\>/ contained nextgroup=qubesPolicyParameter,qubesPolicyError skipwhite
syntax match qubesPolicyAsk       /\<ask\>/ contained nextgroup=qubesPolicyParameter,qubesPolicyError skipwhite
syntax match qubesPolicyDeny      /\<deny\>/ contained nextgroup=qubesPolicyParameter,qubesPolicyError skipwhite
syntax match qubesPolicyParameter /\<\%(target\|default_target\|user\|notify\|autostart\)=\S*/ contained contains=qubesPolicyKeyword nextgroup=qubesPolicyParameter,qubesPolicyError skipwhite

highlight default link qubesPolicyComment   Comment
highlight default link qubesPolicyDirective PreProc
highlight default link qubesPolicyService   Function
highlight default link qubesPolicyArgument  String
highlight default link qubesPolicySource    Identifier
highlight default link qubesPolicyTarget    Identifier
highlight default link qubesPolicyKeyword   Special
highlight default link qubesPolicyAllow     Statement
highlight default link qubesPolicyAsk       Todo
highlight default link qubesPolicyDeny      Error
highlight default link qubesPolicyParameter Type
highlight default link qubesPolicyError     Error

let b:current_syntax = 'qubes-policy'
