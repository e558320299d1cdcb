" SPDX-License-Identifier: Apache-2.0
" Qubes RPC policy: SERVICE ARGUMENT SOURCE TARGET ACTION [PARAM ...]
" Files for !include-service, and those in /etc/qubes-rpc/policy: SOURCE TARGET ACTION [PARAM ...], with commas as blanks.
if exists('b:current_syntax')
  finish
endif

" A file is in the old format if its first rule has its action in the third place, and not in the fifth.
function! s:is_old() abort
  for line in getline(1, '$')
    if line =~# '^\s*\%(#.*\)\?$' || line =~# '^\s*[!$]include'
      continue
    endif
    let words = split(line, '[ \t,]\+')
    let action = '^\%(allow\|ask\|deny\)$'
    return get(words, 2, '') =~# action && get(words, 4, '') !~# action
  endfor
  return expand('%:p') =~# '/qubes-rpc/policy/'
endfunction

" Of what fits at one place Vim takes the last in this file.
syntax match qubesPolicyError     /\S\+/ contained

if s:is_old()
  syntax match qubesPolicySource    /^\s*[^#! \t,][^ \t,]*/ contains=qubesPolicyKeyword nextgroup=qubesPolicyTarget skipwhite
  syntax match qubesPolicyTarget    /,\?\s*[^ \t,]\+/ contained contains=qubesPolicyKeyword nextgroup=qubesPolicyAllow,qubesPolicyAsk,qubesPolicyDeny,qubesPolicyError skipwhite
  syntax match qubesPolicyDirective /^\s*\%(!include\s\|\$include:\).*$/
else
  syntax match qubesPolicyService   /^\s*[^#! \t]\S*/ nextgroup=qubesPolicyArgument,qubesPolicyError skipwhite
  syntax match qubesPolicyArgument  /\%(\*\|+\S*\)\ze\%(\s\|$\)/ contained nextgroup=qubesPolicySource skipwhite
  syntax match qubesPolicySource    /\S\+/ contained contains=qubesPolicyKeyword nextgroup=qubesPolicyTarget skipwhite
  syntax match qubesPolicyTarget    /\S\+/ contained contains=qubesPolicyKeyword nextgroup=qubesPolicyAllow,qubesPolicyAsk,qubesPolicyDeny,qubesPolicyError skipwhite
  syntax match qubesPolicyDirective /^\s*!\%(include\s\|include-dir\s\|include-service\s\|compat-4\.0\s*$\).*$/
endif
syntax match qubesPolicyComment   /^\s*#.*$/
syntax match qubesPolicyKeyword   /[@$]\%(adminvm\|anyvm\|default\|dispvm\|tag\|type\)\%(:[@$]tag\)\?\|\*/ contained
syntax match qubesPolicyAllow     /,\?\s*allow\ze\%([ \t,]\|$\)/ contained nextgroup=qubesPolicyParameter,qubesPolicyError skipwhite
syntax match qubesPolicyAsk       /,\?\s*ask\ze\%([ \t,]\|$\)/ contained nextgroup=qubesPolicyParameter,qubesPolicyError skipwhite
syntax match qubesPolicyDeny      /,\?\s*deny\ze\%([ \t,]\|$\)/ contained nextgroup=qubesPolicyParameter,qubesPolicyError skipwhite
syntax match qubesPolicyParameter /,\?\s*\%(target\|default_target\|user\|notify\|autostart\)=[^ \t,]*/ contained contains=qubesPolicyKeyword nextgroup=qubesPolicyParameter,qubesPolicyError skipwhite

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
